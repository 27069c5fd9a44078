import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { Placement } from "@/features/dnsproviders/queries";
import { fakeAPI, problem } from "@/test/api";
import { session } from "@/test/fixtures";
import { open } from "@/test/render";

// Compiled before the clock of a test runs.
import "@/features/domains/DomainsPage";
import "@/features/settings/SettingsPage";

const P = "/api/v1/infrastructure";

const placement = (over: Partial<Placement>): Placement => ({
  id: "plc_1",
  domain: "shop.example.com",
  account: "main",
  project_id: "prj_1",
  environment: "production",
  revision: 7,
  state: "needs_consent",
  reason: "NeedsConsent",
  message: "it would remove 1 of the 2 record sets: consent to it (POST ..., `edgewright dns leftovers remove plc_1`)",
  removing_since: "2026-11-20T10:00:00Z",
  next_attempt: "2026-11-20T16:00:00Z",
  given_up_at: "2026-12-04T10:00:00Z",
  attempts: 3,
  records: ["A shop.example.com 192.0.2.1", "TXT _ew.shop.example.com"],
  ...over,
});

/** A control plane with these placements, which go as they are decided; `refuse` refuses to leave them. */
function left(placements: Placement[], { refuse = false, role = "owner" } = {}) {
  let list = placements;
  const [first, ...rest] = session.projects ?? [];
  return fakeAPI(({ path, method }) => {
    if (path === "/api/v1/session") {
      return { body: { ...session, projects: first ? [{ ...first, role }, ...rest] : rest } };
    }
    if (path === `${P}/dns/providers`) return { body: { providers: [], next_cursor: "" } };
    if (path === `${P}/domains`) return { body: { domains: [], next_cursor: "" } };
    if (path === `${P}/dns/placements`) return { body: { placements: list, next_cursor: "" } };
    const [, id, consent] = new RegExp(`^${P}/dns/placements/([^/]+)(/consent)?$`).exec(path) ?? [];
    const decided = list.find((p) => p.id === id);
    if (!decided) return undefined;
    if (refuse) return problem(412, "stale", "it has changed since it was read");
    list = list.filter((p) => p !== decided);
    return consent && method === "POST" ? { body: { placement: decided } } : { status: 204 };
  });
}

describe("records that are left at DNS providers", () => {
  it("are shown with what they are, why, and when it is tried again; those that are wanted are not", async () => {
    const wanted = placement({ id: "plc_0", domain: "wanted.example.com", state: "set" });
    delete wanted.removing_since;
    left([
      wanted,
      placement({
        id: "plc_2",
        domain: "xn--mnchen-3ya.example",
        state: "removing",
        reason: "ProviderAway",
        message: "the provider does not answer",
      }),
      placement({}),
    ]);
    open("/settings?tab=dns");
    expect(await screen.findByRole("heading", { name: "Records still at providers" })).toBeTruthy();
    const [first, second, ...more] = screen.getAllByRole("article");
    expect(more).toEqual([]);
    if (!first || !second) throw new Error("there are not two");
    expect(first.getAttribute("aria-label")).toBe("records of shop.example.com at main");
    expect(within(first).getByText("Waits for your consent")).toBeTruthy();
    expect(within(first).getByText(/Tried 3 times/)).toBeTruthy();
    expect(within(first).getByText(/Next attempt:/)).toBeTruthy();
    expect(within(first).queryByText(/POST/)).toBeNull();
    expect(within(first).getByText("2 records that would go")).toBeTruthy();
    expect(within(second).getByText("münchen.example")).toBeTruthy();
    expect(within(second).getByText(/The provider does not answer\.$/)).toBeTruthy();
  });

  it("go by consent, with the records in sight", async () => {
    const log = left([placement({})]);
    open("/settings?tab=dns");
    await userEvent.click(await screen.findByRole("button", { name: "Remove: records of shop.example.com at main" }));
    const dialog = await screen.findByRole("dialog", { name: "Remove records at the provider" });
    expect(within(dialog).getByText("A shop.example.com 192.0.2.1")).toBeTruthy();
    await userEvent.click(within(dialog).getByRole("button", { name: "Remove the records" }));
    await waitFor(() => expect(screen.queryByRole("article")).toBeNull());
    expect(log.filter((a) => a.method === "POST").map((a) => a.path)).toEqual([`${P}/dns/placements/plc_1/consent`]);
  });

  it("are left only as they were read", async () => {
    const log = left([placement({})], { refuse: true });
    open("/settings?tab=dns");
    await userEvent.click(await screen.findByRole("button", { name: /^Leave there/ }));
    const dialog = await screen.findByRole("dialog", { name: "Leave records at the provider" });
    await userEvent.click(within(dialog).getByRole("button", { name: "Leave them there" }));
    expect(await within(dialog).findByRole("alert")).toBeTruthy();
    expect(log.find((a) => a.method === "DELETE")?.headers.get("If-Match")).toBe('"7"');
  });

  it("are no viewer's to decide", async () => {
    left([placement({})], { role: "viewer" });
    open("/settings?tab=dns");
    for (const button of within(await screen.findByRole("article")).getAllByRole("button")) {
      expect(button).toHaveProperty("disabled", true);
    }
  });

  it("are told of where domains are listed, with the way to them", async () => {
    left([placement({}), placement({ id: "plc_2", account: "second" })]);
    open("/domains");
    expect(await screen.findByText("Records of 1 domain are still at their DNS provider.")).toBeTruthy();
    expect(screen.getByRole("link", { name: "See why" }).getAttribute("href")).toMatch(/\/settings\?tab=dns/);
  });
});
