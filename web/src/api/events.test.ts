import { renderHook } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { rollout } from "@/test/fixtures";
import { forget, invalidator, type Purge, receive, useLive, usePurge, useRollout } from "./events";

function take(type: string, data: unknown): string[] {
  const old: string[] = [];
  receive(type, typeof data === "string" ? data : JSON.stringify(data), (keys) => old.push(...keys));
  return old;
}

const live = (at: string) => ({
  at,
  total: { requests_per_second: 1, hits_per_second: 0, bytes_per_second: 0, errors_per_second: 0 },
  sites: {},
});

describe("receive", () => {
  beforeEach(forget);

  it("makes the right answers old", () => {
    const change = { kind: "certificate", id: "crt_1", name: "a", revision: 1 };
    expect(take("change", { ...change, type: "put" })).toEqual(["certificates", "domains", "revisions"]);
    expect(take("change", { ...change, type: "status" })).toEqual(["certificates", "domains"]);
    expect(take("reset", "")).toEqual(["*"]);
    expect(take("edge", { edge: {} })).toEqual(["edges"]);
  });

  it("ignores what it does not know or cannot read", () => {
    expect(take("weather", {})).toEqual([]);
    expect(take("change", "{broken")).toEqual([]);
    expect(take("change", { type: "put", kind: "planet", id: "z", name: "z", revision: 1 })).toEqual(["revisions"]);
  });

  it("keeps five minutes of live traffic, each second once", () => {
    take("live", live("2026-11-20T10:00:00Z"));
    take("live", live("2026-11-20T10:04:00Z"));
    take("live", live("2026-11-20T10:04:00Z"));
    take("live", live("2026-11-20T10:05:30Z"));
    const { result } = renderHook(() => useLive());
    expect(result.current.map((p) => p.at)).toEqual(["2026-11-20T10:04:00Z", "2026-11-20T10:05:30Z"]);
  });

  it("prefers a heard rollout to the one that was read", () => {
    const read = { ...rollout, verified: 0, pending: 3 };
    expect(renderHook(() => useRollout(7, read)).result.current?.verified).toBe(0);
    take("rollout", { revision: 7, rollout });
    expect(renderHook(() => useRollout(7, read)).result.current?.verified).toBe(3);
    expect(renderHook(() => useRollout(8, read)).result.current?.verified).toBe(0);
  });

  it("never takes a purge back", () => {
    const purge: Purge = {
      purge_id: "prg_1",
      purged_count: 5,
      state: "acknowledged",
      edges: { total: 2, acknowledged: 2, missing: [], away: [] },
      at: "2026-11-20T10:00:00Z",
    };
    take("purge", { purge: { ...purge, state: "pending", edges: { ...purge.edges, acknowledged: 1 } } });
    expect(renderHook(() => usePurge(purge)).result.current.state).toBe("acknowledged");
  });
});

describe("what changes make old", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("is read again once for many changes, and not anew before it has come", async () => {
    const came: (() => void)[] = [];
    const asked: unknown[] = [];
    const old = invalidator({
      invalidateQueries: (filters) => {
        asked.push(filters?.queryKey?.[0]);
        return new Promise<void>((ok) => came.push(ok));
      },
    });
    old(["domains"]);
    old(["domains"]);
    await vi.runAllTimersAsync();
    expect(asked).toEqual(["domains"]);
    old(["domains", "edges"]);
    await vi.runAllTimersAsync();
    expect(asked).toEqual(["domains", "edges"]);
    came[0]?.();
    await vi.runAllTimersAsync();
    expect(asked).toEqual(["domains", "edges", "domains"]);
    came[2]?.();
    await vi.runAllTimersAsync();
    expect(asked).toHaveLength(3);
  });
});
