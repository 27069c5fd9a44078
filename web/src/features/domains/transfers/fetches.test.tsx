import { screen, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { show } from "@/test/render";
import { FetchesPanel } from "./FetchesPanel";
import type { Fetch, Transfers } from "./transferQueries";

const at = new Date(Date.now() - 120_000).toISOString();
const zone = (secondaries: Fetch[], out = true): Transfers => ({
  zone: "example.com",
  revision: 1,
  serial: 8,
  conditions: [],
  secondaries,
  ...(out && { out: { keys: ["transfer.example.com"] } }),
});
const has = (serial: number): Fetch => ({
  address: "192.0.2.1",
  key: "transfer.example.com",
  kind: "ixfr",
  outcome: "given",
  serial,
  at,
});
const refused = (outcome: string): Fetch => ({
  address: "198.51.100.7",
  kind: "axfr",
  outcome,
  at,
  error: "it asked without a key",
  fix: "give it the key",
});

describe("who has fetched a zone", () => {
  it.each([
    { fetch: has(8), says: ["192.0.2.1", "Has this version", "transfer.example.com", "Difference", "8"], why: false },
    { fetch: has(7), says: ["Has an older version", "7"], why: false },
    {
      fetch: refused("unsigned"),
      says: ["198.51.100.7", "Refused: no key", "Whole zone", "None of the zone’s"],
      why: true,
    },
    { fetch: refused("of_a_newer_edge"), says: ["Did not get it"], why: true },
  ])("says which version it has, or why not: $fetch.outcome $fetch.serial", ({ fetch, says, why }) => {
    show(<FetchesPanel transfers={zone([fetch])} />);
    const table = within(screen.getByRole("table", { name: "Who has fetched it" }));
    for (const text of says) expect(table.getByText(text)).toBeTruthy();
    expect(screen.getByText(/ ago$/).getAttribute("datetime")).toBe(at);
    const reasons = screen.queryByRole("list", { name: "Why some did not get it" });
    expect(reasons?.textContent ?? "").toBe(why ? "198.51.100.7 It asked without a key. Give it the key." : "");
  });

  it("tells one that has it from what it did not get later", () => {
    show(<FetchesPanel transfers={zone([{ ...refused("slow"), ...{ address: "192.0.2.1" } }, has(8)])} />);
    expect(screen.getByText("Too slow")).toBeTruthy();
    expect(screen.getByText("Has this version")).toBeTruthy();
  });

  it("says why it is empty, and is not there for a zone that nobody gets", () => {
    const { unmount } = show(<FetchesPanel transfers={zone([])} />);
    expect(screen.getByText("No secondary has asked yet")).toBeTruthy();
    unmount();
    show(<FetchesPanel transfers={zone([], false)} />);
    expect(screen.queryByText("Who has fetched it")).toBeNull();
  });
});
