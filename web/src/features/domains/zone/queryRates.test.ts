import { describe, expect, it } from "vitest";
import { type Queries, queryRates } from "./queryRates";

const sums = (n: number) => ({
  queries: 21 * n,
  answers: n,
  referrals: 2 * n,
  nodata: 3 * n,
  nxdomain: 4 * n,
  failed: 5 * n,
  limited: 6 * n,
});

const window = (...counts: number[]): Queries => ({
  zone: "example.com",
  window: 60 * counts.length,
  step: 60,
  series: counts.map((n, i) => ({ at: new Date((1200 + 60 * i) * 1000).toISOString(), ...sums(n) })),
  totals: sums(counts.reduce((a, b) => a + b, 0)),
});

describe("queries a second", () => {
  it("leaves the open step out", () => {
    const rates = queryRates(window(60, 0, 120, 6), (1200 + 200) * 1000);
    expect(rates).toEqual({ x: [1200, 1260, 1320], queries: [21, 0, 42], missing: [7, 0, 14], refused: [11, 0, 22] });
  });
  it("keeps a step that has just closed", () => {
    expect(queryRates(window(60), 1260 * 1000).x).toEqual([1200]);
    expect(queryRates(window(60), 1259 * 1000).x).toEqual([]);
  });
});
