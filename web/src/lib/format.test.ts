import { describe, expect, it } from "vitest";
import { ago, bytes, count, decimal, duration, known, milliseconds, ratio } from "./format";

describe("numbers", () => {
  it("keeps units and changes them in time", () => {
    expect(bytes(0)).toBe("0 B");
    expect(bytes(999)).toBe("999 B");
    expect(bytes(999_600)).toBe("1 MB");
    expect(bytes(1500)).toBe("1.5 kB");
    expect(bytes(2.4e8)).toBe("240 MB");
    expect(milliseconds(28.44)).toBe("28.4 ms");
    expect(milliseconds(1500)).toBe("1.5 s");
    expect(count(99_999)).toBe("99,999");
    expect(count(1_240_000)).toBe("1.2M");
    expect(decimal(3.27)).toBe("3.3");
    expect(decimal(143.2)).toBe("143");
  });

  it("has no ratio without a whole", () => {
    expect(ratio(0, 0)).toBe("–");
    expect(ratio(1, 3)).toBe("33.3%");
  });
});

describe("times", () => {
  const now = new Date("2026-11-20T10:00:00Z");
  it("says how long ago in the largest unit", () => {
    expect(ago("2026-11-20T09:59:59Z", now)).toBe("just now");
    expect(ago("2026-11-20T09:59:10Z", now)).toMatch(/^50\s?s.* ago$/);
    expect(ago("2026-11-20T08:30:00Z", now)).toMatch(/^1\s?h.* ago$/);
    expect(ago("2026-11-23T10:00:00Z", now)).toMatch(/^in 3\s?d/);
  });

  it("measures spans", () => {
    expect(duration(45)).toBe("45 s");
    expect(duration(3600)).toBe("1 h");
    expect(duration(86_400 * 8)).toBe("8 d");
  });

  it("does not take Go's zero time for a time", () => {
    expect(known("0001-01-01T00:00:00Z")).toBe(false);
    expect(known(undefined)).toBe(false);
    expect(known("2026-11-20T10:00:00Z")).toBe(true);
  });
});
