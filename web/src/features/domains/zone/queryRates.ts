import type { Schemas } from "@/api/client";

export type Queries = Schemas["DNSQueries"];

/** Queries a second, at Unix times in seconds, oldest first. */
export type QueryRates = { x: number[]; queries: number[]; missing: number[]; refused: number[] };

/**
 * A stored window as rates. The step that is still open is left out: its sum
 * is not complete and would draw a fall that is none.
 */
export function queryRates(queries: Queries, now: number = Date.now()): QueryRates {
  const { step, series } = queries;
  const out: QueryRates = { x: [], queries: [], missing: [], refused: [] };
  for (const point of series) {
    const at = Math.floor(Date.parse(point.at) / 1000);
    if (step <= 0 || at + step > now / 1000) continue;
    out.x.push(at);
    out.queries.push(point.queries / step);
    out.missing.push((point.nxdomain + point.nodata) / step);
    out.refused.push((point.failed + point.limited) / step);
  }
  return out;
}
