/** The numbers of a chart as a table, built only while it is open: the latest first. */
import { h } from "./dom";
import { instant, smart } from "./format";
import type { ChartCard } from "./types";

export class ChartTable {
  readonly element: HTMLDetailsElement;
  private readonly scroll = h("div", { class: "ps-scroll ps-scroll-tall", tabindex: 0, role: "group" });
  private card: ChartCard | null = null;
  private step = 60;

  constructor() {
    this.element = h("details", { class: "ps-data" }, h("summary", {}, "Data table"), this.scroll);
    this.element.addEventListener("toggle", () => this.render());
  }

  update(card: ChartCard, step: number): void {
    this.card = card;
    this.step = step;
    this.scroll.setAttribute("aria-label", `${card.title}, data table`);
    if (this.element.open) this.render();
  }

  private render(): void {
    const card = this.card;
    if (!card || !this.element.open) return;
    const unit = card.unit ? ` (${card.unit})` : "";
    const head = h(
      "tr",
      {},
      h("th", { scope: "col" }, "Time"),
      ...card.series.map((series) => h("th", { scope: "col", class: "ps-right" }, `${series.label}${unit}`)),
    );
    const rows = card.x.map((epoch, index) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, instant(epoch, this.step)),
        ...card.series.map((series) => {
          const value = series.values[index] ?? null;
          return h("td", { class: "ps-right" }, value === null ? "–" : smart(value));
        }),
      ),
    );
    const top = this.scroll.scrollTop;
    this.scroll.replaceChildren(h("table", { class: "ps-table" }, h("thead", {}, head), h("tbody", {}, ...rows.reverse())));
    this.scroll.scrollTop = top;
  }
}
