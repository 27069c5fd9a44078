/**
 * Numbers, sizes and times as people read them, through Intl. Units are part
 * of the result, so that no number stands alone on a screen.
 */

/** The interface is in English; a reader's English (en-GB, en-AU) decides how dates and numbers look. */
export const locale: string =
  (typeof navigator === "undefined" ? [] : navigator.languages).find((l) => l.toLowerCase().startsWith("en")) ?? "en";

const integer = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
const compactNumber = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 });
const percentNumber = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });
const dateTime = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "long", hourCycle: "h23" });
const dateOnly = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "always", style: "narrow" });

/** 1,234 below a hundred thousand, 1.2M above. */
export function count(n: number): string {
  return Math.abs(n) < 100_000 ? integer.format(n) : compactNumber.format(n);
}

/** A rate or other small quantity: one decimal below 100. */
export function decimal(n: number): string {
  return Math.abs(n) < 100 ? oneDigit.format(n) : count(n);
}

/** part of whole as a percentage; an em dash when there is no whole to be part of. */
export function ratio(part: number, whole: number): string {
  return whole > 0 ? percentNumber.format(part / whole) : "–";
}

const byteUnits = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Decimal bytes (1 kB = 1,000 B), as transfer is billed and measured. */
export function bytes(n: number): string {
  let value = n;
  let unit = 0;
  while (value >= 999.5 && unit < byteUnits.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? integer.format(value) : oneDigit.format(value)} ${byteUnits[unit]}`;
}

/** Milliseconds, or seconds from one second on. */
export function milliseconds(ms: number): string {
  return ms < 1000 ? `${decimal(ms)} ms` : `${oneDigit.format(ms / 1000)} s`;
}

const steps: [limit: number, seconds: number, unit: Intl.RelativeTimeFormatUnit, short: string][] = [
  [60, 1, "second", "s"],
  [3600, 60, "minute", "min"],
  [86_400, 3600, "hour", "h"],
  [Number.POSITIVE_INFINITY, 86_400, "day", "d"],
];

/** A length of time in its largest unit: "45 s", "12 min", "3 h", "8 d". */
export function duration(seconds: number): string {
  for (const [limit, size, , short] of steps) {
    if (Math.abs(seconds) < limit) return `${integer.format(Math.trunc(seconds / size))} ${short}`;
  }
  return `${integer.format(seconds)} s`;
}

/** "12s ago", "in 3 days"; "just now" within two seconds. */
export function ago(at: Date | string, now: Date = new Date()): string {
  const seconds = (new Date(at).getTime() - now.getTime()) / 1000;
  if (Math.abs(seconds) < 2) return "just now";
  for (const [limit, size, unit] of steps) {
    if (Math.abs(seconds) < limit) return relative.format(Math.trunc(seconds / size), unit);
  }
  return absolute(at);
}

/** Date and time in the reader's zone, which is named. */
export function absolute(at: Date | string): string {
  return dateTime.format(new Date(at));
}

/** Date in the reader's zone. */
export function date(at: Date | string): string {
  return dateOnly.format(new Date(at));
}

/** 14:03:27 in the reader's zone. */
export function time(at: Date | string | number): string {
  return clock.format(new Date(at));
}

/** The API writes Go's zero time for "never"; this tells it and absence apart from a time. */
export function known(at: string | null | undefined): at is string {
  return typeof at === "string" && at !== "" && !at.startsWith("0001-01-01");
}
