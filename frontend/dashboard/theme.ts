/**
 * The colours in force. The admin decides between light and dark (a media query before Django 4.2, `data-theme` since),
 * and other admin themes have ways of their own, so the page's real background is asked: its luminance is the answer.
 */

export interface Theme {
  text: string;
  quiet: string;
  grid: string;
  surface: string;
  threshold: string;
  font: string;
  series(id: string, index: number): string;
}

const KNOWN = new Set(["p50", "p95", "p99", "2xx", "3xx", "4xx", "5xx", "cancelled", "hot", "warm", "cold", "stale", "miss"]);

export function isDark(): boolean {
  const color = getComputedStyle(document.body).backgroundColor;
  const parts = color.match(/[\d.]+/g)?.map(Number) ?? [];
  const [red = 255, green = 255, blue = 255, alpha = 1] = parts;
  if (alpha === 0) return false;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 110;
}

export function applyTheme(): void {
  document.body.dataset["psTheme"] = isDark() ? "dark" : "light";
}

/** Reads the colours for the canvas, which knows no CSS variables. */
export function readTheme(root: HTMLElement): Theme {
  const style = getComputedStyle(root);
  const get = (name: string, fallback: string) => style.getPropertyValue(name).trim() || fallback;
  return {
    text: get("--ps-fg", "#333"),
    quiet: get("--ps-quiet", "#666"),
    grid: get("--ps-line", "#e8e8e8"),
    surface: get("--ps-card", "#fff"),
    threshold: get("--ps-threshold", "#b42318"),
    font: `12px ${style.fontFamily || "sans-serif"}`,
    series: (id, index) => get(KNOWN.has(id) ? `--ps-series-${id}` : `--ps-series-${(index % 6) + 1}`, "#417690"),
  };
}

/** Calls back after each change between light and dark, from the system or from the admin's own switch. */
export function watchTheme(changed: () => void): void {
  const run = () => {
    applyTheme();
    changed();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", run);
  new MutationObserver(run).observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-theme", "class", "data-bs-theme"],
  });
}
