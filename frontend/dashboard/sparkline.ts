/** A tiny line of one number over the range, as SVG: decoration beside a tile's value, hidden from screen readers. */
import { svg } from "./dom";

const WIDTH = 100;
const HEIGHT = 32;

export class Sparkline {
  readonly element: SVGSVGElement;
  private readonly line = svg("path", { class: "ps-spark-line" });
  private readonly area = svg("path", { class: "ps-spark-area" });
  private readonly target = svg("path", { class: "ps-spark-target" });

  constructor() {
    this.element = svg(
      "svg",
      {
        class: "ps-spark",
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        preserveAspectRatio: "none",
        "aria-hidden": "true",
        focusable: "false",
      },
      this.area,
      this.line,
      this.target,
    );
  }

  /** Draws the values; nulls are gaps. The target is drawn where the data come near it. */
  update(values: (number | null)[], target: number | null): void {
    const known = values.filter((value): value is number => value !== null);
    const top = Math.max(...known, 0);
    const shown = target !== null && top >= target / 3 && known.length > 0;
    const max = Math.max(top, shown ? target : 0) * 1.1 || 1;
    const y = (value: number) => round(HEIGHT - 1 - (value / max) * (HEIGHT - 3));
    const step = values.length > 1 ? WIDTH / (values.length - 1) : WIDTH;
    let line = "";
    let area = "";
    let run: string[] = [];
    let first = 0;
    const close = (last: number) => {
      if (!run.length) return;
      const from = round(first * step);
      // A single point between two gaps would be invisible: make it a dash of one step.
      const to = round((last > first ? last : first + 0.6) * step);
      const path = run.length > 1 ? run.join("L") : `${run[0]}H${to}`;
      line += `M${path}`;
      area += `M${from},${HEIGHT}L${path}L${to},${HEIGHT}Z`;
      run = [];
    };
    values.forEach((value, index) => {
      if (value === null) return close(index - 1);
      if (!run.length) first = index;
      run.push(`${round(index * step)},${y(value)}`);
    });
    close(values.length - 1);
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", area);
    this.target.setAttribute("d", shown ? `M0,${y(target)}H${WIDTH}` : "");
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
