import { describe, expect, it } from "vitest";
import { condition, domain } from "@/test/fixtures";
import { unsettled, visitable } from "../queries";
import { conditionShown, matches, recordsBy, setupSteps, statusGroup } from "./steps";

const tones = (d: Parameters<typeof setupSteps>[0]) =>
  Object.fromEntries(setupSteps(d).map((step) => [step.key, step.tone]));

describe("setupSteps", () => {
  it("judges each thing for itself", () => {
    expect(tones(domain())).toEqual({ ownership: "ok", dns: "ok", tls: "ok", serving: "ok" });
    const waiting = domain({
      status: "pending_verification",
      verification: { required: true, status: "pending", records: [], mail_addresses: [] },
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

  it("names what is in the way of DNS, unless the name leads here all the same", () => {
    const blocker = {
      reason: "Proxied",
      type: "A",
      name: "a.b",
      detail: "a.b is behind a proxy",
      fix: "switch it off",
    };
    const dns = { ...domain().dns, blockers: [blocker] };
    const blocked = domain({ dns, conditions: [condition("DNS", "false", "elsewhere")] });
    expect(setupSteps(blocked)[1]).toMatchObject({
      tone: "bad",
      message: "a.b is behind a proxy. Switch it off.",
    });
    expect(tones(domain({ dns }))["dns"]).toBe("ok");
  });

  it("does not let a lost proof pass for a proven one", () => {
    const verification = { ...domain().verification, lost_at: "2026-11-20T10:00:00Z" };
    const lost = domain({ verification, conditions: [condition("Ownership", "false", "the record is gone")] });
    expect(setupSteps(lost)[0]).toMatchObject({ tone: "bad", message: "the record is gone" });
    expect(statusGroup(lost)).toBe("attention");
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
    expect(
      unsettled(domain({ verification: { required: true, status: "pending", records: [record], mail_addresses: [] } })),
    ).toBe(true);
    expect(unsettled(domain({ certificate: { state: "issuing" } }))).toBe(true);
  });
});

describe("what a newcomer is told", () => {
  it("calls nothing failed that only waits for the proof", () => {
    const added = domain({ verification: { required: true, status: "pending", records: [], mail_addresses: [] } });
    expect(conditionShown(added, condition("Ownership", "false")).tone).toBe("warn");
    expect(conditionShown(added, condition("TLS", "false"))).toEqual({ tone: "idle", label: "Not yet" });
    expect(conditionShown(domain(), condition("TLS", "false")).tone).toBe("bad");
  });

  it("has nobody set records where none are needed", () => {
    const free = { required: false, status: "not_required", records: [], mail_addresses: [] };
    const dns = { name_servers: [], offers: [], records: [], blockers: [] };
    expect(recordsBy(domain({ verification: free, dns: { ...dns, mode: "" } }))).toBe("Not needed");
    expect(recordsBy(domain({ dns: { ...dns, mode: "" } }))).toBe("By hand");
    expect(recordsBy(domain({ dns: { ...dns, mode: "managed" } }))).toBe("Edgewright");
  });

  it("offers no way to where there is no site", () => {
    expect(visitable(domain())).toBe(true);
    expect(visitable(domain({ domain: "*.example.com" }))).toBe(false);
    expect(visitable(domain({ conditions: [condition("Serving", "false")] }))).toBe(false);
  });
});
