import type { Schemas } from "@/api/client";

const at = "2026-11-20T10:00:00Z";

export const rollout: Schemas["Rollout"] = { documents: 2, edges: 3, pending: 0, applied: 0, verified: 3, rejected: 0 };

export function condition(type: string, status: string, message = ""): Schemas["Condition"] {
  return { type, status, message, since: at };
}

export function domain(over: Partial<Schemas["Domain"]> = {}): Schemas["Domain"] {
  const name = over.domain ?? "shop.example.com";
  return {
    id: `dom_${name}`,
    domain: name,
    display: name,
    project_id: "prj_1",
    environment: "production",
    revision: 12,
    created_at: at,
    updated_at: at,
    auto_configure: true,
    cdn: name,
    redirect_https: true,
    origin: "http://127.0.0.1:3000",
    status: "active",
    url: `https://${name}/`,
    verification: { required: true, status: "verified", method: "dns", records: [], mail_addresses: [] },
    certificate: { state: "valid", issuer: "R11", days_left: 60 },
    conditions: [condition("Ownership", "true"), condition("DNS", "true"), condition("Serving", "true")],
    rollout,
    locked: false,
    dns: { mode: "manual", name_servers: [], offers: [], records: [], blockers: [] },
    ...over,
  };
}

export const session: Schemas["Session"] = {
  user: {
    id: "usr_1",
    email: "ada@example.com",
    name: "Ada",
    has_password: true,
    revision: 3,
    created_at: at,
  },
  principal: { kind: "user", id: "usr_1", name: "Ada", platform_role: "owner", scopes: [] },
  projects: [
    { id: "prj_1", name: "default", title: "Default", role: "owner", environments: ["production", "staging"] },
    { id: "prj_2", name: "blog", title: "Blog", role: "viewer", environments: ["production"] },
  ],
  version: "test",
  platform_domain: "",
};

export function plan(over: Partial<Schemas["Plan"]> = {}): Schemas["Plan"] {
  return {
    project_id: "prj_1",
    environment: "production",
    actions: [
      {
        op: "update",
        kind: "cdn",
        id: "cdn_1",
        name: "shop",
        diff: [{ pointer: "/origins/0/url", before: "http://a:1", after: "http://b:2" }],
      },
    ],
    warnings: [],
    created_at: at,
    ...over,
  };
}

export function traffic(over: Partial<Schemas["Traffic"]> = {}): Schemas["Traffic"] {
  const totals: Schemas["TrafficTotals"] = {
    requests: 0,
    hits: 0,
    bytes: 0,
    origin_bytes: 0,
    errors: 0,
    origin_errors: 0,
    status: {},
    cache: {},
    handshakes: 0,
    refused_handshakes: {},
    p50_ms: 0,
    p95_ms: 0,
    p99_ms: 0,
  };
  return { window: 3600, step: 60, series: [], totals, ...over };
}
