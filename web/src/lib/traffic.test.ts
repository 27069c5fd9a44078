import { describe, expect, it } from "vitest";
import type { LiveEvent } from "@/api/events";
import { traffic } from "@/test/fixtures";
import { liveRates, liveTotals, liveWindow, recentRate, windowRates } from "./traffic";

function second(at: number, requests: number, sites: Record<string, number> = {}): LiveEvent {
  const rate = (n: number) => ({
    requests_per_second: n,
    hits_per_second: n / 2,
    bytes_per_second: n * 10,
    errors_per_second: 0,
  });
  return {
    at: new Date(at * 1000).toISOString(),
    total: rate(requests),
    sites: Object.fromEntries(Object.entries(sites).map(([id, n]) => [id, rate(n)])),
  };
}

describe("live", () => {
  const events = [second(1000, 10, { dom_1: 4 }), second(1002, 20)];

  it("leaves a gap where no second was heard", () => {
    const rates = liveRates(events);
    expect(rates.x.at(-1)).toBe(1002);
    expect(rates.x).toHaveLength(60);
    expect(rates.requests.slice(-3)).toEqual([10, null, 20]);
    expect(rates.hits.at(-1)).toBe(10);
  });

  it("grows its window by the minute, up to five", () => {
    expect(liveWindow([])).toBe(60);
    expect(liveWindow(events)).toBe(60);
    expect(liveWindow([second(1000, 1), second(1059, 1)])).toBe(60);
    expect(liveWindow([second(1000, 1), second(1060, 1)])).toBe(120);
    expect(liveWindow([second(1000, 1), second(9000, 1)])).toBe(300);
  });

  it("counts a domain that had no request as zero, not as unknown", () => {
    expect(liveRates(events, "dom_1").requests.slice(-3)).toEqual([4, null, 0]);
    expect(recentRate(events, 10, "dom_1")).toBe(2);
    expect(recentRate([], 10)).toBeNull();
  });

  it("sums what was heard", () => {
    expect(liveTotals(events)).toEqual({ seconds: 2, requests: 30, hits: 15, errors: 0, bytes: 300 });
  });
});

describe("windowRates", () => {
  const now = 10_000 * 60 * 1000 + 30_000; // half way through a minute
  const point = (minute: number, requests: number) => ({
    ...traffic().totals,
    at: new Date(minute * 60_000).toISOString(),
    requests,
    hits: requests / 2,
  });

  it("fills steps without traffic with zero and leaves the open step out", () => {
    const rates = windowRates(traffic({ window: 300, step: 60, series: [point(9998, 120), point(10_000, 999)] }), now);
    expect(rates.x.map((x) => x / 60)).toEqual([9996, 9997, 9998, 9999]);
    expect(rates.requests).toEqual([0, 0, 2, 0]);
    expect(rates.hits).toEqual([0, 0, 1, 0]);
  });

  it("survives an answer without steps", () => {
    expect(windowRates(traffic({ step: 0 }), now).x).toEqual([]);
  });
});
