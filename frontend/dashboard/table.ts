/** A table card: sorts on its headers, keeps focus and open cells over polls, scrolls inside the card. */
import { h, setText, svg } from "./dom";
import { cell } from "./format";
import { gist, paintSql } from "./sql";
import type { Cell, Column, Payload, TableCard, View } from "./types";

interface Sort {
  column: string;
  direction: "ascending" | "descending";
}

export class TableView implements View<TableCard> {
  readonly element: HTMLElement;
  private readonly headRow = h("tr");
  private readonly body = h("tbody");
  private readonly caption = h("caption", { class: "ps-hidden" });
  private readonly scroll = h("div", { class: "ps-scroll", tabindex: 0, role: "group" });
  private readonly empty = h("p", { class: "ps-empty" });
  private readonly open = new Set<string>();
  private readonly resize: ResizeObserver;
  private columnsKey = "";
  private chosen: Sort | null = null;
  private card: TableCard | null = null;

  constructor() {
    const table = h("table", { class: "ps-table" }, this.caption, h("thead", {}, this.headRow), this.body);
    this.scroll.append(table);
    this.element = h("div", {}, this.scroll, this.empty);
    this.resize = new ResizeObserver(() => this.offerToggles());
    this.resize.observe(this.scroll);
  }

  update(card: TableCard, _payload?: Payload): void {
    this.card = card;
    setText(this.caption, card.title);
    this.scroll.setAttribute("aria-label", card.title);
    this.scroll.hidden = card.rows.length === 0;
    this.empty.hidden = card.rows.length > 0;
    setText(this.empty, card.empty);
    const key = JSON.stringify(card.columns);
    if (key !== this.columnsKey) {
      this.columnsKey = key;
      this.headRow.replaceChildren(...card.columns.map((column) => this.header(column)));
      this.body.replaceChildren();
    }
    this.render(card);
  }

  destroy(): void {
    this.resize.disconnect();
  }

  private header(column: Column): HTMLElement {
    const arrow = h("span", { class: "ps-sort", "aria-hidden": "true" });
    const button = h("button", { type: "button" }, column.label, arrow);
    button.addEventListener("click", () => this.sortBy(column));
    return h("th", { scope: "col", class: column.align === "right" ? "ps-right" : null, "data-column": column.id }, button);
  }

  private sortBy(column: Column): void {
    const first = column.kind === "text" || column.kind === "code" ? "ascending" : "descending";
    const now = this.sort();
    const other = now?.direction === "ascending" ? "descending" : "ascending";
    this.chosen = { column: column.id, direction: now?.column === column.id ? other : first };
    if (this.card) this.render(this.card);
  }

  private sort(): Sort | null {
    return this.chosen ?? this.card?.sort ?? null;
  }

  private render(card: TableCard): void {
    const sort = this.sort();
    for (const head of this.headRow.children as Iterable<Element> & HTMLCollection) {
      const active = sort !== null && head.getAttribute("data-column") === sort.column;
      if (active) head.setAttribute("aria-sort", sort.direction);
      else head.removeAttribute("aria-sort");
      const arrow = head.querySelector(".ps-sort");
      if (arrow) setText(arrow, active ? (sort.direction === "ascending" ? "▲" : "▼") : "");
    }
    const rows = this.chosen ? sorted(card, this.chosen) : card.rows;
    while (this.body.rows.length > rows.length) this.body.deleteRow(-1);
    rows.forEach((row, index) => {
      const line = this.body.rows[index] ?? this.newRow(card.columns);
      card.columns.forEach((column, at) => {
        const target = line.cells[at];
        if (target) this.fillCell(target, column, row[at] ?? null);
      });
    });
    this.offerToggles();
  }

  private newRow(columns: Column[]): HTMLTableRowElement {
    const row = this.body.insertRow();
    for (const column of columns) {
      const target = row.insertCell();
      target.className = `ps-cell-${column.kind}${column.align === "right" ? " ps-right" : ""}`;
    }
    return row;
  }

  private fillCell(target: HTMLTableCellElement, column: Column, value: Cell): void {
    if (column.kind === "code") return this.fillCode(target, String(value ?? ""));
    const shown = cell(value, column.kind);
    const key = `${shown.text}|${shown.unit}`;
    if (target.dataset["shown"] === key) return;
    target.dataset["shown"] = key;
    const unit = shown.unit ? h("span", { class: "ps-unit" }, ` ${shown.unit}`) : null;
    if (column.kind !== "share" || typeof value !== "number") {
      target.replaceChildren(...(column.kind === "text" ? breakable(shown.text) : [shown.text]), ...(unit ? [unit] : []));
      return;
    }
    const bar = h("span", { class: "ps-bar", "aria-hidden": "true" }, h("span"));
    (bar.firstElementChild as HTMLElement).style.width = `${Math.min(100, Math.max(0, value))}%`;
    target.replaceChildren(bar, h("span", { class: "ps-share" }, shown.text, unit));
  }

  private fillCode(target: HTMLTableCellElement, text: string): void {
    if (target.dataset["code"] !== text) {
      target.dataset["code"] = text;
      const button = target.querySelector("button") ?? this.toggleButton(target);
      target.replaceChildren(h("div", { class: "ps-statement" }, button, h("code", { class: "ps-code" })));
      this.showOpen(target);
    }
  }

  private toggleButton(target: HTMLTableCellElement): HTMLButtonElement {
    const button = h("button", { type: "button", class: "ps-more", "aria-label": "Whole statement" });
    button.title = "Show the whole statement";
    button.append(svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, svg("path", { d: "M3 1l4 4-4 4" })));
    button.addEventListener("click", () => {
      const text = target.dataset["code"] ?? "";
      if (!this.open.delete(text)) this.open.add(text);
      this.showOpen(target);
      this.offerToggles();
    });
    return button;
  }

  private showOpen(target: HTMLTableCellElement): void {
    const text = target.dataset["code"] ?? "";
    const isOpen = this.open.has(text);
    const code = target.querySelector("code");
    target.classList.toggle("ps-open", isOpen);
    target.querySelector("button")?.setAttribute("aria-expanded", String(isOpen));
    if (code) paintSql(code, isOpen ? text : gist(text));
  }

  /** Offers the whole statement only where something is left out or cut. */
  private offerToggles(): void {
    for (const target of this.body.querySelectorAll<HTMLElement>(".ps-cell-code")) {
      const code = target.querySelector("code");
      const button = target.querySelector("button");
      if (!code || !button) continue;
      const cut = code.textContent !== target.dataset["code"] || code.scrollHeight > code.clientHeight + 2;
      button.classList.toggle("ps-none", !cut && !target.classList.contains("ps-open"));
    }
  }
}

/** Lets a long route wrap after its slashes. */
function breakable(text: string): (string | Node)[] {
  return text.split(/(?<=\/)/).flatMap((part, index) => (index ? [h("wbr"), part] : [part]));
}

function sorted(card: TableCard, sort: Sort): Cell[][] {
  const at = card.columns.findIndex((column) => column.id === sort.column);
  const sign = sort.direction === "ascending" ? 1 : -1;
  return [...card.rows].sort((a, b) => sign * compare(a[at] ?? null, b[at] ?? null));
}

function compare(a: Cell, b: Cell): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? -1 : 1;
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b));
}
