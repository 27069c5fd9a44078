import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { type Asked, fakeAPI, type Handler, problem } from "@/test/api";
import { condition, domain, plan, rollout, session } from "@/test/fixtures";
import { open } from "@/test/render";

const P = "/api/v1/infrastructure";

/** Answers the frame's own questions; the rest is the test's. */
function signedIn(handler: Handler): Asked[] {
  return fakeAPI((asked) => {
    const answer = handler(asked);
    if (answer) return answer;
    if (asked.path === "/api/v1/session") return { body: session };
    if (asked.path.endsWith("/members")) return { body: { members: [], next_cursor: "" } };
    if (asked.path === "/api/v1/tokens") return { body: { tokens: [], next_cursor: "" } };
    if (asked.path === `${P}/cdn`) return { body: { cdn_deployments: [], next_cursor: "" } };
    return undefined;
  });
}

describe("domain list", () => {
  it("reads page after page, filters from the address and keeps the scope", async () => {
    const log = signedIn(({ path, query }) => {
      if (path !== `${P}/domains`) return undefined;
      return query.get("cursor")
        ? { body: { domains: [domain({ domain: "b.example" })], next_cursor: "" } }
        : { body: { domains: [domain({ domain: "a.example" })], next_cursor: "next" } };
    });
    const { router } = open("/domains?q=b.ex&project=blog");
    expect(await screen.findByRole("link", { name: "b.example" })).toBeTruthy();
    expect(screen.queryByRole("link", { name: "a.example" })).toBeNull();
    expect(screen.getByText("1 of 2")).toBeTruthy();
    expect(log.filter((a) => a.path === `${P}/domains`).map((a) => a.query.get("project_id"))).toEqual([
      "prj_2",
      "prj_2",
    ]);
    await userEvent.type(screen.getByLabelText("Filter by name, origin or CDN"), "zzz");
    await userEvent.click(await screen.findByRole("button", { name: "Clear the filter", description: "" }));
    await waitFor(() => expect(router.state.location.search).toEqual({ project: "blog" }));
  });

  it("offers the command and the button when there are none", async () => {
    signedIn(({ path }) => (path === `${P}/domains` ? { body: { domains: [], next_cursor: "" } } : undefined));
    open("/domains");
    expect(await screen.findByText("No domains yet")).toBeTruthy();
    expect(screen.getByText(/edgewright domains add shop.localhost --origin/)).toBeTruthy();
  });

  it("shows what went wrong and tries again", async () => {
    let fail = true;
    signedIn(({ path }) => {
      if (path !== `${P}/domains`) return undefined;
      return fail
        ? problem(403, "forbidden", "this needs the permission domains:read")
        : { body: { domains: [domain()], next_cursor: "" } };
    });
    open("/domains");
    expect((await screen.findByRole("alert")).textContent).toContain("This needs the permission domains:read.");
    fail = false;
    await userEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(await screen.findByRole("link", { name: "shop.example.com" })).toBeTruthy();
  });
});

describe("add wizard", () => {
  it("understands a pasted URL and lands the server's errors on their fields", async () => {
    const log = signedIn(({ path, method }) =>
      path === `${P}/domains` && method === "POST"
        ? problem(422, "invalid", "com is a public suffix", [
            { pointer: "/domain", detail: "co.uk is a public suffix", fix: "add a name below it" },
          ])
        : undefined,
    );
    open("/domains/add");
    const field = await screen.findByLabelText("Domain");
    await userEvent.type(field, "https://Shop.example.com/path");
    await userEvent.click(await screen.findByRole("button", { name: "Use it" }));
    expect(field).toHaveProperty("value", "shop.example.com");
    await userEvent.type(screen.getByLabelText("Origin"), "127.0.0.1:3000");
    await userEvent.click(screen.getByRole("button", { name: "Add domain" }));
    expect(await screen.findByText("co.uk is a public suffix. Add a name below it.")).toBeTruthy();
    expect(log.find((a) => a.method === "POST")?.body).toEqual({
      domain: "shop.example.com",
      origin: "http://127.0.0.1:3000",
      auto_configure: true,
    });
  });

  it("does not send what cannot be a domain or an origin", async () => {
    const log = signedIn(() => undefined);
    open("/domains/add");
    await userEvent.type(await screen.findByLabelText("Domain"), "192.0.2.1");
    await userEvent.type(screen.getByLabelText("Origin"), "http://host/path");
    await userEvent.click(screen.getByRole("button", { name: "Add domain" }));
    expect(screen.getByText(/This is an IP address/)).toBeTruthy();
    expect(screen.getByText(/Only scheme, host and port: http:\/\/host\./)).toBeTruthy();
    expect(log.some((a) => a.method === "POST")).toBe(false);
  });

  it("shows records with what each resolver answers, and checks now", async () => {
    const record = {
      purpose: "ownership",
      type: "TXT",
      name: "_edgewright-challenge.shop",
      full_name: "_edgewright-challenge.shop.example.com",
      value: "token-1",
      ttl: 300,
      found: false,
      seen: [
        { resolver: "192.0.2.53:53", answers: [], error: "NXDOMAIN" },
        { resolver: "198.51.100.53:53", answers: ["v=spf1 -all"] },
      ],
    };
    const pending = domain({
      status: "pending_verification",
      verification: { required: true, status: "pending", records: [record], mail_addresses: [] },
      certificate: { state: "none" },
      conditions: [condition("Ownership", "false", "there is no TXT record yet")],
    });
    const log = signedIn(({ path, method }) => {
      if (path.endsWith("/verify")) return { body: { verified: false, dns_records: [record], domain_config: pending } };
      if (path === `${P}/domains/shop.example.com` && method === "GET") return { body: { domain_config: pending } };
      return undefined;
    });
    open("/domains/add?domain=shop.example.com");
    const steps = await screen.findByRole("list", { name: "Set-up" });
    expect(within(steps).getByText("Waiting for proof")).toBeTruthy();
    expect(screen.getByText("NXDOMAIN.")).toBeTruthy();
    expect(screen.getByText("v=spf1 -all")).toBeTruthy();
    expect(screen.getByRole("button", { name: "Copy token-1" })).toBeTruthy();
    await userEvent.click(screen.getByRole("button", { name: "Check now" }));
    expect(await screen.findByText("Not found yet.")).toBeTruthy();
    expect(log.find((a) => a.path.endsWith("/verify"))?.body).toEqual({ method: "dns" });
  });
});

describe("origin", () => {
  const cdn = {
    id: "cdn_1",
    name: "shop.example.com",
    project_id: "prj_1",
    environment: "production",
    revision: 58,
    created_at: "2026-11-20T10:00:00Z",
    updated_at: "2026-11-20T10:00:00Z",
    origins: [{ name: "app", url: "http://127.0.0.1:3000", root_ca_pem: "PEM" }],
    cache_rules: [{ pattern: "/api/**", action: "bypass" }],
    timeouts: { connect_ms: 5 },
    max_body_bytes: 9,
    domains: ["shop.example.com"],
    rollout,
  };

  it("goes edit, difference, apply once more in production, rollout", async () => {
    const log = signedIn(({ path, method, query }) => {
      if (path === `${P}/domains/shop.example.com`) return { body: { domain_config: domain() } };
      if (path === `${P}/cdn/shop.example.com`) {
        if (method === "GET") return { body: { cdn_deployment: cdn } };
        return query.get("dry_run") ? { body: plan() } : { body: { cdn_deployment: { ...cdn, revision: 59 } } };
      }
      if (path === `${P}/revisions/59`) {
        return {
          body: {
            revision: 59,
            at: cdn.updated_at,
            cause: { actor: "user usr_1", via: "dashboard" },
            entries: [],
            rollout,
          },
        };
      }
      return undefined;
    });
    open("/domains/shop.example.com?tab=origin");
    await userEvent.click(await screen.findByRole("button", { name: "Edit origins" }));
    const url = screen.getByLabelText("URL");
    await userEvent.clear(url);
    await userEvent.type(url, "http://127.0.0.1:4000");
    await userEvent.click(screen.getByRole("button", { name: "Review the change" }));
    await userEvent.click(await screen.findByRole("button", { name: "Apply" }));
    expect(log.some((a) => a.method === "PUT" && !a.query.get("dry_run"))).toBe(false);
    await userEvent.click(screen.getByRole("button", { name: "Apply to production" }));
    expect(await screen.findByText("Verified 3/3")).toBeTruthy();
    const put = log.find((a) => a.method === "PUT" && !a.query.get("dry_run"));
    expect(put?.headers.get("if-match")).toBe('"58"');
    // What the form does not edit must arrive as it was.
    expect(put?.body).toEqual({
      origins: [{ name: "app", url: "http://127.0.0.1:4000", root_ca_pem: "PEM" }],
      cache_rules: cdn.cache_rules,
      timeouts: cdn.timeouts,
      max_body_bytes: 9,
    });
  });
});

describe("session expiry", () => {
  it("asks to sign in over the page instead of leaving it", async () => {
    let expired = false;
    signedIn(({ path }) => {
      if (expired && path !== "/api/v1/login") return problem(401, "unauthenticated", "log in");
      if (path === "/api/v1/login") return { body: { user: session.user, must_set_password: false } };
      return path === `${P}/domains` ? { body: { domains: [domain()], next_cursor: "" } } : undefined;
    });
    const { queries, router } = open("/domains");
    await screen.findByRole("link", { name: "shop.example.com" });
    expired = true;
    await queries.invalidateQueries({ queryKey: ["domains"] });
    const dialog = await screen.findByRole("dialog", { name: "Your session has ended" });
    expect(router.state.location.pathname).toBe("/domains");
    expect(screen.getByRole("link", { name: "shop.example.com", hidden: true })).toBeTruthy();
    expired = false;
    await userEvent.type(within(dialog).getByLabelText("Email"), "ada@example.com");
    await userEvent.type(within(dialog).getByLabelText("Password"), "correct horse");
    await userEvent.click(within(dialog).getByRole("button", { name: "Sign in" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  });
});
