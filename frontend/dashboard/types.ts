/** The shape of the panel's JSON, see perfsuite/panel/payload.py. Percentages are 0..100, durations milliseconds. */

export type Level = "info" | "warning" | "error";

export interface Notice {
  level: Level;
  text: string;
}

export interface Tile {
  id: string;
  label: string;
  value: number | null;
  unit: string;
  digits: number | null;
  delta: number | null;
  better: "up" | "down" | "neutral";
  status: "ok" | "warn" | "none";
  target: number | null;
  spark: (number | null)[];
  hint?: string;
}

export interface ChartSeries {
  id: string;
  label: string;
  values: (number | null)[];
}

interface CardBase {
  id: string;
  title: string;
  hint?: string;
  width?: "full" | "wide" | "narrow" | "half";
}

export interface TilesCard extends CardBase {
  type: "tiles";
  size?: "large" | "small";
  tiles: Tile[];
}

export interface ChartCard extends CardBase {
  type: "chart";
  unit: string;
  x: number[];
  series: ChartSeries[];
  stacked?: boolean;
  threshold?: { value: number; label: string } | null;
  empty?: string;
}

export type Kind = "text" | "code" | "number" | "ms" | "duration" | "percent" | "bytes" | "share";
export type Cell = string | number | null;

export interface Column {
  id: string;
  label: string;
  kind: Kind;
  align: "left" | "right";
}

export interface TableCard extends CardBase {
  type: "table";
  columns: Column[];
  rows: Cell[][];
  sort?: { column: string; direction: "ascending" | "descending" };
  empty: string;
}

export interface MessageCard extends CardBase {
  type: "message";
  level: Level;
  text: string;
}

export type Card = TilesCard | ChartCard | TableCard | MessageCard;

export interface Payload {
  generated_at: number;
  range: string;
  ranges: string[];
  poll_s: number;
  window: { start: number; end: number; step: number };
  notices: Notice[];
  cards: Card[];
}

/** What every kind of card offers the page: its element, and taking newer data without losing focus or scroll. */
export interface View<C extends Card = Card> {
  readonly element: HTMLElement;
  update(card: C, payload: Payload): void;
  retheme?(): void;
  destroy?(): void;
}
