import { describe, expect, it } from "vitest";
import { condition, domain } from "@/test/fixtures";
import { unsettled } from "./queries";
import { matches, setupSteps, statusGroup } from "./setup";

const tones = (d: Parameters<typeof setupSteps>[0]) =>
  Object.fromEntries(setupSteps(d).map((step) => [step.key, step.tone]));

describe("setupSteps", () => {
  it("judges each thing for itself", () => {
    expect(tones(domain())).toEqual({ ownership: "ok", dns: "ok", tls: "ok", serving: "ok" });
    const waiting = domain({
      status: "pending_verification",
      verification: { required: true, status: "pending", records: [] },
      certificate: { state: "none" },
      conditions: [condition("Ownership", "false", "no TXT record"), condition("DNS", "true")],
    });
    expect(tones(waiting)).toEqual({ ownership: "warn", dns: "ok", tls: "idle", serving: "idle" });
    expect(setupSteps(waiting)[0]?.message).toBe("no TXT record");
  });

  it("does not call a failed certificate anything else", () => {
    const failed = domain({ certificate: { state: "failed", reason: "CAA forbids it" } });
    expect(setupSteps(failed)[2]).toMatchObject({ tone: "bad", message: "CAA forbids it" });
  });

  it("knows nothing of DNS before a check", () => {
    expect(tones(domain({ conditions: [] }))["dns"]).toBe("idle");
  });
});

describe("the list's filters", () => {
  it("puts an active domain with a dying certificate where somebody looks", () => {
    expect(statusGroup(domain())).toBe("active");
    expect(statusGroup(domain({ certificate: { state: "expiring" } }))).toBe("attention");
    expect(statusGroup(domain({ status: "error" }))).toBe("attention");
    expect(statusGroup(domain({ status: "issuing", certificate: { state: "issuing" } }))).toBe("waiting");
  });

  it("matches names in both scripts, origin, CDN and issuer", () => {
    const d = domain({ domain: "xn--bcher-kva.example", display: "bücher.example", cdn: "books" });
    for (const text of ["bücher", "xn--", "127.0.0.1", "BOOKS", "r11"]) expect(matches(d, text)).toBe(true);
    expect(matches(d, "shop")).toBe(false);
  });

  it("keeps asking until all is found", () => {
    const record = {
      purpose: "ownership",
      type: "TXT",
      name: "a",
      full_name: "a.b",
      value: "v",
      ttl: 60,
      found: false,
      seen: [],
    };
    expect(unsettled(domain())).toBe(false);
    expect(unsettled(domain({ verification: { required: true, status: "pending", records: [record] } }))).toBe(true);
    expect(unsettled(domain({ certificate: { state: "issuing" } }))).toBe(true);
  });
});
