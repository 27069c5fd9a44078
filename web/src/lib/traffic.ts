import type { Schemas } from "@/api/client";
import { type LiveEvent, liveSeconds } from "@/api/events";

/** Requests, hits and errors a second, at Unix times in seconds, oldest first. null: nothing is known of that time. */
export type Rates = {
  x: number[];
  requests: (number | null)[];
  hits: (number | null)[];
  errors: (number | null)[];
};

/** Sums over some seconds. */
export type Totals = { seconds: number; requests: number; hits: number; errors: number; bytes: number };

/** Seconds that the live window shows: what was heard, rounded up to a minute, five minutes at most. */
export function liveWindow(live: readonly LiveEvent[]): number {
  const first = live[0];
  const last = live.at(-1);
  if (!first || !last) return 60;
  const heard = (Date.parse(last.at) - Date.parse(first.at)) / 1000 + 1;
  return Math.min(liveSeconds, Math.max(1, Math.ceil(heard / 60)) * 60);
}

/** The live window, second by second, of all sites or of one domain. */
export function liveRates(live: readonly LiveEvent[], domain?: string): Rates {
  const last = live.at(-1);
  if (!last) return { x: [], requests: [], hits: [], errors: [] };
  const end = Math.floor(Date.parse(last.at) / 1000);
  const bySecond = new Map(live.map((event) => [Math.floor(Date.parse(event.at) / 1000), event]));
  const out: Rates = { x: [], requests: [], hits: [], errors: [] };
  for (let at = end - liveWindow(live) + 1; at <= end; at++) {
    const event = bySecond.get(at);
    const rate = event && (domain ? (event.sites[domain] ?? none) : event.total);
    out.x.push(at);
    out.requests.push(rate ? rate.requests_per_second : null);
    out.hits.push(rate ? rate.hits_per_second : null);
    out.errors.push(rate ? rate.errors_per_second : null);
  }
  return out;
}

const none: Schemas["LiveRate"] = {
  requests_per_second: 0,
  hits_per_second: 0,
  bytes_per_second: 0,
  errors_per_second: 0,
};

/** What the seconds that were heard add up to. */
export function liveTotals(live: readonly LiveEvent[], domain?: string): Totals {
  const out: Totals = { seconds: live.length, requests: 0, hits: 0, errors: 0, bytes: 0 };
  for (const event of live) {
    const rate = domain ? (event.sites[domain] ?? none) : event.total;
    out.requests += rate.requests_per_second;
    out.hits += rate.hits_per_second;
    out.errors += rate.errors_per_second;
    out.bytes += rate.bytes_per_second;
  }
  return out;
}

/** Mean requests a second over the last `seconds` heard; null before the first. */
export function recentRate(live: readonly LiveEvent[], seconds: number, domain?: string): number | null {
  const last = live.slice(-seconds);
  return last.length === 0 ? null : liveTotals(last, domain).requests / last.length;
}

/**
 * A stored window as rates. Steps in which nothing was counted are zero; the
 * step that is still open is left out, because its sum is not complete and
 * would draw a fall that is none.
 */
export function windowRates(traffic: Schemas["Traffic"], now: number = Date.now()): Rates {
  const { step, window, series } = traffic;
  const out: Rates = { x: [], requests: [], hits: [], errors: [] };
  if (step <= 0) return out;
  const sums = new Map<number, { requests: number; hits: number; errors: number }>();
  for (const point of series) {
    const at = Math.floor(Date.parse(point.at) / 1000 / step) * step;
    const sum = sums.get(at) ?? { requests: 0, hits: 0, errors: 0 };
    sum.requests += point.requests;
    sum.hits += point.hits;
    sum.errors += point.errors;
    sums.set(at, sum);
  }
  const end = Math.floor(now / 1000 / step) * step;
  for (let at = Math.floor((now / 1000 - window) / step) * step + step; at < end; at += step) {
    const sum = sums.get(at);
    out.x.push(at);
    out.requests.push((sum?.requests ?? 0) / step);
    out.hits.push((sum?.hits ?? 0) / step);
    out.errors.push((sum?.errors ?? 0) / step);
  }
  return out;
}
