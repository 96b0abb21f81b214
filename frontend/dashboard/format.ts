/** Numbers and times as people read them: three significant digits, the reader's own separators and clock. */
import type { Cell, Kind } from "./types";

const formats = new Map<number, Intl.NumberFormat>();

export function number(value: number, digits: number): string {
  let format = formats.get(digits);
  if (!format) {
    format = new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits });
    formats.set(digits, format);
  }
  return format.format(value);
}

/** About three significant digits, and no decimals for zero. */
export function digitsFor(value: number): number {
  const size = Math.abs(value);
  if (size === 0 || size >= 100) return 0;
  if (size >= 10) return 1;
  return 2;
}

export function smart(value: number): string {
  return number(value, digitsFor(value));
}

const few = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4 });

/** A round number as a person would write it: 200, 0.5, 2,500. */
export function plain(value: number): string {
  return few.format(value);
}

/** A value and its unit apart, so that the unit can be set smaller. */
export interface Shown {
  text: string;
  unit: string;
}

function bytes(value: number): Shown {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let index = 0;
  while (value >= 1024 && index < units.length - 1) {
    value /= 1024;
    index += 1;
  }
  return { text: index ? smart(value) : number(value, 0), unit: units[index] ?? "B" };
}

/** Milliseconds in the unit that reads best: for what runs from microseconds to days. */
function duration(ms: number): Shown {
  if (ms > 0 && ms < 0.1) return { text: smart(ms * 1000), unit: "µs" };
  if (ms < 1000) return { text: smart(ms), unit: "ms" };
  if (ms < 60_000) return { text: smart(ms / 1000), unit: "s" };
  if (ms < 3_600_000) return { text: smart(ms / 60_000), unit: "min" };
  return { text: smart(ms / 3_600_000), unit: "h" };
}

export function cell(value: Cell, kind: Kind): Shown {
  if (value === null) return { text: "–", unit: "" };
  if (typeof value === "string") return { text: value, unit: "" };
  switch (kind) {
    case "ms":
      return { text: smart(value), unit: "ms" };
    case "duration":
      return duration(value);
    case "percent":
    case "share":
      return { text: value > 0 && value < 0.01 ? "<" + number(0.01, 2) : smart(value), unit: "%" };
    case "bytes":
      return bytes(value);
    default:
      return { text: Number.isInteger(value) ? number(value, 0) : smart(value), unit: "" };
  }
}

export function join(shown: Shown): string {
  return shown.unit ? `${shown.text} ${shown.unit}` : shown.text;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const seconds = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric" });
const dayAndClock = new Intl.DateTimeFormat(undefined, {
  weekday: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

/** A tick of the time axis: the clock, and the day where one begins. */
export function tick(epoch: number): string {
  const date = new Date(epoch * 1000);
  return date.getHours() === 0 && date.getMinutes() === 0 ? day.format(date) : clock.format(date);
}

/** One point in time, as exact as the step of the chart asks for. */
export function instant(epoch: number, step: number): string {
  const date = new Date(epoch * 1000);
  if (step < 60) return seconds.format(date);
  return step < 600 ? clock.format(date) : dayAndClock.format(date);
}

export function ago(elapsedSeconds: number): string {
  const value = Math.max(0, Math.round(elapsedSeconds));
  if (value < 60) return `${value} s ago`;
  return `${Math.round(value / 60)} min ago`;
}
