/** A chart card: uPlot on a canvas, a legend with the values under the cursor, and the same numbers as a table. */
import uPlot from "uplot";
import { h, setText } from "./dom";
import { instant, plain, smart, tick } from "./format";
import { readTheme, type Theme } from "./theme";
import { ChartTable } from "./charttable";
import type { ChartCard, Payload, View } from "./types";

const HEIGHT = 250;

interface LegendItem {
  button: HTMLButtonElement;
  swatch: HTMLElement;
  value: HTMLElement;
}

export class ChartView implements View<ChartCard> {
  readonly element: HTMLElement;
  private readonly plotBox = h("div", { class: "ps-plot", tabindex: 0, role: "slider", "aria-orientation": "horizontal" });
  private readonly emptyText = h("p", { class: "ps-plot-empty" });
  private readonly legend = h("div", { class: "ps-legend", role: "group" });
  private readonly at = h("span", { class: "ps-legend-at" });
  private readonly items = new Map<string, LegendItem>();
  private readonly off = new Set<string>();
  private readonly table = new ChartTable();
  private readonly resize: ResizeObserver;
  private plot: uPlot | null = null;
  private shape = "";
  private card: ChartCard | null = null;
  private step = 60;
  private theme: Theme | null = null;

  constructor(private readonly root: HTMLElement) {
    this.element = h("div", { class: "ps-chart" }, this.legend, this.plotBox, this.table.element);
    this.plotBox.append(this.emptyText);
    this.plotBox.addEventListener("keydown", (event) => this.onKey(event));
    this.plotBox.addEventListener("blur", () => this.plot?.setCursor({ left: -10, top: -10 }));
    this.resize = new ResizeObserver(() => this.fit());
    this.resize.observe(this.plotBox);
  }

  update(card: ChartCard, payload: Payload): void {
    this.card = card;
    this.step = payload.window.step;
    this.legend.setAttribute("aria-label", `${card.title}: series`);
    this.plotBox.setAttribute("aria-label", `${card.title}, ${card.unit}, over time`);
    this.updateLegendItems(card);
    const shape = JSON.stringify([card.series.map((s) => s.id), card.stacked, card.unit]);
    if (shape !== this.shape || !this.plot) {
      this.shape = shape;
      this.rebuild();
    } else {
      this.plot.setData(this.dataOf(card));
    }
    const known = card.series.some((series) => series.values.some((value) => value !== null));
    setText(this.emptyText, known ? "" : (card.empty ?? "No data in this range yet."));
    this.emptyText.hidden = known;
    this.table.update(card, this.step);
    this.showValues();
  }

  retheme(): void {
    if (this.card) this.rebuild();
  }

  destroy(): void {
    this.resize.disconnect();
    this.plot?.destroy();
  }

  private rebuild(): void {
    const card = this.card;
    if (!card) return;
    this.plot?.destroy();
    this.theme = readTheme(this.root);
    const width = Math.max(this.plotBox.clientWidth, 200);
    this.plot = new uPlot(this.options(card, this.theme, width), this.dataOf(card), this.plotBox);
    for (const [id, item] of this.items) item.swatch.style.backgroundColor = this.colour(id);
    this.applyVisibility();
  }

  private fit(): void {
    const width = this.plotBox.clientWidth;
    if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  /** Series in the order they are painted: a stack paints its highest sum first and the lower ones over it. */
  private painted(card: ChartCard) {
    return card.stacked ? [...card.series].reverse() : card.series;
  }

  private dataOf(card: ChartCard): uPlot.AlignedData {
    if (!card.stacked) return [card.x, ...card.series.map((series) => series.values)];
    const sums = card.x.map(() => 0);
    const layers = card.series.map((series) =>
      series.values.map((value, index) => {
        if (value === null) return null;
        if (!this.off.has(series.id)) sums[index] = (sums[index] ?? 0) + value;
        return sums[index] ?? 0;
      }),
    );
    return [card.x, ...layers.reverse()];
  }

  private colour(id: string): string {
    const index = this.card?.series.findIndex((series) => series.id === id) ?? 0;
    return this.theme?.series(id, index) ?? "";
  }

  private options(card: ChartCard, theme: Theme, width: number): uPlot.Options {
    const axis = { stroke: theme.quiet, font: theme.font, ticks: { show: false } };
    return {
      width,
      height: HEIGHT,
      padding: [12, 26, 0, 0],
      legend: { show: false },
      cursor: {
        drag: { x: false, y: false },
        y: false,
        points: card.stacked ? { show: false } : { size: 8, width: 2, fill: theme.surface },
      },
      scales: { y: { range: (_plot, _min, max) => [0, this.top(max)] } },
      axes: [
        { ...axis, size: 30, grid: { show: false }, space: 70, values: (_plot, splits) => splits.map(tick) },
        {
          ...axis,
          size: card.unit ? 66 : 44,
          grid: { stroke: theme.grid, width: 1 },
          values: (_plot, splits) => splits.map((value) => `${plain(value)}${card.unit ? ` ${card.unit}` : ""}`),
        },
      ],
      series: [{}, ...this.painted(card).map((series) => this.seriesOptions(series.id, card))],
      bands: bandsOf(card, theme),
      hooks: { drawAxes: [(plot) => this.drawThreshold(plot)], setCursor: [() => this.showValues()] },
    };
  }

  private seriesOptions(id: string, card: ChartCard): uPlot.Series {
    const colour = this.colour(id);
    if (card.stacked) {
      const bars = uPlot.paths.bars?.({ size: [0.8, 24] });
      return { stroke: colour, fill: colour, width: 0, points: { show: false }, ...(bars ? { paths: bars } : {}) };
    }
    return {
      stroke: colour,
      width: 2,
      points: { size: 5, fill: colour, filter: lonely },
      spanGaps: false,
    };
  }

  /** The top of the scale: the threshold is part of it as soon as the data come within a fifth of it. */
  private top(max: number | null): number {
    const threshold = this.card?.threshold?.value ?? 0;
    const data = max ?? 0;
    const wanted = data * 5 >= threshold || data === 0 ? Math.max(data, threshold) : data;
    return wanted > 0 ? wanted * 1.12 : 1;
  }

  /** Draws under the series, so that the label never hides a value. */
  private drawThreshold(plot: uPlot): void {
    const threshold = this.card?.threshold;
    const theme = this.theme;
    if (!threshold || !theme) return;
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio || 1;
    const above = threshold.value > (plot.scales["y"]?.max ?? 0);
    const y = above ? bbox.top : Math.round(plot.valToPos(threshold.value, "y", true));
    ctx.save();
    ctx.strokeStyle = theme.threshold;
    ctx.fillStyle = theme.threshold;
    ctx.lineWidth = 1.5 * ratio;
    ctx.setLineDash([6 * ratio, 5 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    if (!above) ctx.stroke();
    const label = above ? `▲ ${threshold.label}` : threshold.label;
    ctx.setLineDash([]);
    ctx.font = `600 ${11 * ratio}px ${theme.font.slice(5)}`;
    ctx.textAlign = "right";
    ctx.textBaseline = "bottom";
    ctx.fillText(label, bbox.left + bbox.width - 6 * ratio, above ? y + 16 * ratio : y - 4 * ratio);
    ctx.restore();
  }

  private updateLegendItems(card: ChartCard): void {
    const wanted = new Set(card.series.map((series) => series.id));
    for (const [id, item] of this.items) {
      if (wanted.has(id)) continue;
      item.button.remove();
      this.items.delete(id);
    }
    for (const series of card.series) {
      if (this.items.has(series.id)) continue;
      const swatch = h("span", { class: "ps-swatch", "aria-hidden": "true" });
      const value = h("span", { class: "ps-legend-value" });
      const button = h("button", { type: "button", "aria-pressed": "true" }, swatch, h("span", {}, series.label), value);
      button.title = `Show or hide ${series.label}`;
      button.addEventListener("click", () => this.toggle(series.id));
      this.items.set(series.id, { button, swatch, value });
    }
    // Moving a node takes its focus away, so the order is mended only where it is wrong.
    card.series.forEach((series, index) => {
      const button = this.items.get(series.id)?.button;
      if (button && this.legend.children[index] !== button) this.legend.insertBefore(button, this.legend.children[index] ?? null);
    });
    if (this.legend.lastElementChild !== this.at) this.legend.append(this.at);
  }

  private toggle(id: string): void {
    if (!this.off.delete(id)) this.off.add(id);
    this.applyVisibility();
  }

  private applyVisibility(): void {
    const card = this.card;
    if (!card || !this.plot) return;
    if (card.stacked) this.plot.setData(this.dataOf(card));
    this.painted(card).forEach((series, index) => {
      const shown = !this.off.has(series.id);
      if (this.plot?.series[index + 1]?.show !== shown) this.plot?.setSeries(index + 1, { show: shown });
      this.items.get(series.id)?.button.setAttribute("aria-pressed", String(shown));
    });
  }

  /** Writes the values under the cursor into the legend, or the latest ones when there is no cursor. */
  private showValues(): void {
    const card = this.card;
    if (!card) return;
    const hovered = this.plot?.cursor.idx ?? null;
    const index = hovered ?? latest(card);
    const epoch = index === null ? undefined : card.x[index];
    const parts: string[] = [];
    for (const series of card.series) {
      const value = index === null ? null : (series.values[index] ?? null);
      const shown = value === null ? "–" : `${smart(value)} ${card.unit}`.trim();
      const item = this.items.get(series.id);
      if (item) setText(item.value, shown);
      parts.push(`${series.label} ${value === null ? "no data" : shown}`);
    }
    setText(this.at, epoch === undefined ? "" : hovered === null ? "latest" : instant(epoch, this.step));
    const last = Math.max(card.x.length - 1, 0);
    this.plotBox.setAttribute("aria-valuemin", "0");
    this.plotBox.setAttribute("aria-valuemax", String(last));
    this.plotBox.setAttribute("aria-valuenow", String(index ?? last));
    this.plotBox.setAttribute("aria-valuetext", epoch === undefined ? "no data" : `${instant(epoch, this.step)}: ${parts.join(", ")}`);
  }

  private onKey(event: KeyboardEvent): void {
    const card = this.card;
    const plot = this.plot;
    if (!card || !plot || !card.x.length || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = card.x.length - 1;
    const now = plot.cursor.idx ?? latest(card) ?? last;
    const large = Math.max(1, Math.round(last / 10));
    const moves: Record<string, number> = {
      ArrowLeft: now - 1,
      ArrowDown: now - 1,
      ArrowRight: now + 1,
      ArrowUp: now + 1,
      PageDown: now - large,
      PageUp: now + large,
      Home: 0,
      End: last,
    };
    const target = moves[event.key];
    if (target === undefined) return;
    event.preventDefault();
    const epoch = card.x[Math.min(last, Math.max(0, target))] ?? 0;
    plot.setCursor({ left: plot.valToPos(epoch, "x"), top: 20 });
  }
}

/** Tints what lies between p50 and p95: how long most requests took. */
function bandsOf(card: ChartCard, theme: Theme): uPlot.Band[] {
  const low = card.series.findIndex((series) => series.id === "p50");
  const high = card.series.findIndex((series) => series.id === "p95");
  if (card.stacked || low < 0 || high < 0) return [];
  return [{ series: [high + 1, low + 1], fill: `${theme.series("p95", high)}1c` }];
}

/** Points only where a value stands alone between gaps, since a line of one point cannot be seen. */
function lonely(plot: uPlot, series: number): number[] {
  const values = plot.data[series] ?? [];
  const result: number[] = [];
  for (let index = 0; index < values.length; index += 1) {
    const alone = (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null;
    if ((values[index] ?? null) !== null && alone) result.push(index);
  }
  return result;
}

function latest(card: ChartCard): number | null {
  for (let index = card.x.length - 1; index >= 0; index -= 1) {
    if (card.series.some((series) => (series.values[index] ?? null) !== null)) return index;
  }
  return null;
}

