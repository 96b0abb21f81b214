/** Key figures: a value, its change against the period before, its target, and a sparkline. */
import { h, setText } from "./dom";
import { number, plain, smart } from "./format";
import { Sparkline } from "./sparkline";
import type { Tile, TilesCard, View } from "./types";

/** Smaller changes are shown, but called neither good nor bad. */
const NOISE_PERCENT = 5;

class TileView {
  readonly element: HTMLElement;
  private readonly label = h("span", { class: "ps-tile-name" });
  private readonly value = h("span", { class: "ps-tile-number" });
  private readonly unit = h("span", { class: "ps-tile-unit" });
  private readonly delta = h("span", { class: "ps-delta" });
  private readonly arrow = h("span", { class: "ps-delta-arrow", "aria-hidden": "true" });
  private readonly change = h("span");
  private readonly spoken = h("span", { class: "ps-hidden" });
  private readonly target = h("span", { class: "ps-tile-target" });
  private readonly spark = new Sparkline();

  constructor() {
    this.delta.append(this.arrow, this.change, this.spoken);
    this.element = h(
      "li",
      { class: "ps-tile" },
      h("div", { class: "ps-tile-head" }, h("span", { class: "ps-dot", "aria-hidden": "true" }), this.label),
      h("div", { class: "ps-tile-line" }, h("span", { class: "ps-tile-value" }, this.value, this.unit), this.delta),
      this.target,
      this.spark.element,
    );
  }

  update(tile: Tile): void {
    setText(this.label, tile.label);
    setText(this.value, tile.value === null ? "–" : show(tile.value, tile.digits));
    setText(this.unit, tile.value === null || !tile.unit ? "" : ` ${tile.unit}`);
    setText(this.target, caption(tile));
    this.element.dataset["status"] = tile.value === null ? "none" : tile.status;
    this.updateDelta(tile);
    this.spark.update(tile.spark, tile.target);
    this.spark.element.classList.toggle("ps-spark-none", tile.spark.length === 0);
  }

  private updateDelta(tile: Tile): void {
    const delta = tile.delta;
    const percent = delta === null ? 0 : Math.round(delta * 100);
    if (delta === null || tile.value === null) {
      this.delta.dataset["sense"] = "none";
      setText(this.arrow, "");
      setText(this.change, "");
      setText(this.spoken, "");
      return;
    }
    const up = percent > 0;
    const sense = Math.abs(percent) < NOISE_PERCENT || tile.better === "neutral" ? "neutral" : up === (tile.better === "up") ? "good" : "bad";
    this.delta.dataset["sense"] = sense;
    setText(this.arrow, percent === 0 ? "=" : up ? "▲" : "▼");
    setText(this.change, `${Math.abs(percent) > 999 ? ">999" : number(Math.abs(percent), 0)} %`);
    const verdict = sense === "good" ? ", better" : sense === "bad" ? ", worse" : "";
    setText(this.spoken, ` ${percent === 0 ? "no change" : up ? "more" : "less"} than in the period before${verdict}`);
  }
}

/** The line under the number. It says in words what the dot says in colour. */
function caption(tile: Tile): string {
  if (!tile.target) return tile.hint ?? "";
  const target = `${plain(tile.target)} ${tile.unit}`.trim();
  if (tile.value === null || tile.status === "none") return `target ${target}`;
  const least = tile.better === "up";
  if (tile.status === "ok") return `${least ? "meets" : "within"} target ${target}`;
  return `${least ? "under" : "over"} target ${target}`;
}

function show(value: number, digits: number | null): string {
  return digits === null ? smart(value) : number(value, digits);
}

export class TilesView implements View<TilesCard> {
  readonly element: HTMLElement;
  private readonly list = h("ul", { class: "ps-tiles" });
  private readonly tiles = new Map<string, TileView>();

  constructor() {
    this.element = this.list;
  }

  update(card: TilesCard): void {
    this.list.dataset["size"] = card.size ?? "large";
    this.list.setAttribute("aria-label", card.title);
    const wanted = new Set(card.tiles.map((tile) => tile.id));
    for (const [id, view] of this.tiles) {
      if (wanted.has(id)) continue;
      view.element.remove();
      this.tiles.delete(id);
    }
    card.tiles.forEach((tile, index) => {
      let view = this.tiles.get(tile.id);
      if (!view) {
        view = new TileView();
        this.tiles.set(tile.id, view);
      }
      if (this.list.children[index] !== view.element) this.list.insertBefore(view.element, this.list.children[index] ?? null);
      view.update(tile);
    });
  }
}
