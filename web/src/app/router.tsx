import { createRootRoute, createRoute, createRouter, Outlet, retainSearchParams } from "@tanstack/react-router";
import { t } from "@/lib/strings";
import { SkeletonRows } from "@/ui/PageState";
import { Crash, NotFound } from "./ErrorBoundary";
import { Shell } from "./Shell";
import { screen } from "./screens";

/** What an address may carry. Anything malformed is dropped: a link from an older binary still opens. */
type Raw = Record<string, unknown>;

function text(value: unknown): string | undefined {
  if (typeof value === "string") return value === "" ? undefined : value;
  return typeof value === "number" ? String(value) : undefined;
}

function oneOf<const T extends string>(value: unknown, known: readonly T[]): T | undefined {
  return known.find((k) => k === value);
}

function flag(value: unknown): true | undefined {
  return value === true || value === "true" || value === 1 ? true : undefined;
}

function number(value: unknown): number | undefined {
  const n = typeof value === "number" ? value : typeof value === "string" ? Number(value) : Number.NaN;
  return Number.isSafeInteger(n) && n > 0 ? n : undefined;
}

/** Leaves out what is not set, so that addresses stay short. */
function only<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, v]) => v !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

const root = createRootRoute({
  component: Outlet,
  validateSearch: (raw: Raw) => only({ project: text(raw["project"]), environment: text(raw["environment"]) }),
  search: { middlewares: [retainSearchParams(["project", "environment"])] },
  notFoundComponent: NotFound,
});

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (raw: Raw) =>
    only({ link: text(raw["link"]), next: text(raw["next"]), signed_out: flag(raw["signed_out"]) }),
  component: screen(() => import("@/features/auth/LoginPage"), "LoginPage"),
});

const shell = createRoute({ getParentRoute: () => root, id: "shell", component: Shell });

export const ranges = ["live", "1h", "24h", "7d"] as const;
export type Range = (typeof ranges)[number];

const overview = createRoute({
  getParentRoute: () => shell,
  path: "/",
  validateSearch: (raw: Raw) => only({ range: oneOf(raw["range"], ranges), view: oneOf(raw["view"], ["table"]) }),
  component: screen(() => import("@/features/overview/OverviewPage"), "OverviewPage"),
});

const domains = createRoute({
  getParentRoute: () => shell,
  path: "/domains",
  validateSearch: (raw: Raw) => only({ q: text(raw["q"]), status: text(raw["status"]), sort: text(raw["sort"]) }),
  component: screen(() => import("@/features/domains/DomainsPage"), "DomainsPage"),
});

const addDomain = createRoute({
  getParentRoute: () => shell,
  path: "/domains/add",
  validateSearch: (raw: Raw) => only({ domain: text(raw["domain"]) }),
  component: screen(() => import("@/features/domains/AddDomainPage"), "AddDomainPage"),
});

export const domainTabs = [
  "overview",
  "dns",
  "records",
  "dnssec",
  "transfers",
  "watch",
  "certificate",
  "origin",
  "cache",
  "history",
  "settings",
] as const;
export type DomainTab = (typeof domainTabs)[number];

const domain = createRoute({
  getParentRoute: () => shell,
  path: "/domains/$domain",
  validateSearch: (raw: Raw) =>
    only({
      tab: oneOf(raw["tab"], domainTabs),
      range: oneOf(raw["range"], ranges),
      // Of the records: the filter, the order, the set that is open, and whether a file is imported.
      q: text(raw["q"]),
      type: text(raw["type"]),
      sort: text(raw["sort"]),
      record: text(raw["record"]),
      import: flag(raw["import"]),
    }),
  component: screen(() => import("@/features/domains/DomainPage"), "DomainPage"),
});

export const certificateViews = ["list", "authorities", "replacements"] as const;
export type CertificateView = (typeof certificateViews)[number];

const certificates = createRoute({
  getParentRoute: () => shell,
  path: "/certificates",
  validateSearch: (raw: Raw) =>
    only({
      view: oneOf(raw["view"], certificateViews),
      q: text(raw["q"]),
      state: text(raw["state"]),
      sort: text(raw["sort"]),
    }),
  component: screen(() => import("@/features/certificates/CertificatesPage"), "CertificatesPage"),
});

export const certificateTabs = ["overview", "chain", "edges", "settings", "own"] as const;
export type CertificateTab = (typeof certificateTabs)[number];

const certificate = createRoute({
  getParentRoute: () => shell,
  path: "/certificates/$domain",
  validateSearch: (raw: Raw) => only({ tab: oneOf(raw["tab"], certificateTabs) }),
  component: screen(() => import("@/features/certificates/CertificatePage"), "CertificatePage"),
});

const edges = createRoute({
  getParentRoute: () => shell,
  path: "/edges",
  validateSearch: (raw: Raw) => only({ q: text(raw["q"]), sort: text(raw["sort"]), join: flag(raw["join"]) }),
  component: screen(() => import("@/features/edges/EdgesPage"), "EdgesPage"),
});

const activity = createRoute({
  getParentRoute: () => shell,
  path: "/activity",
  validateSearch: (raw: Raw) =>
    only({ kind: text(raw["kind"]), id: text(raw["id"]), rev: number(raw["rev"]), q: text(raw["q"]) }),
  component: screen(() => import("@/features/activity/ActivityPage"), "ActivityPage"),
});

export const settingsTabs = ["account", "tokens", "members", "projects", "dns", "trust", "about"] as const;
export type SettingsTab = (typeof settingsTabs)[number];

const settings = createRoute({
  getParentRoute: () => shell,
  path: "/settings",
  validateSearch: (raw: Raw) => only({ tab: oneOf(raw["tab"], settingsTabs) }),
  component: screen(() => import("@/features/settings/SettingsPage"), "SettingsPage"),
});

/** An address that nothing answers to is told so inside the frame, with the navigation at hand. */
const unknown = createRoute({ getParentRoute: () => shell, path: "$", component: NotFound });

export const routeTree = root.addChildren([
  login,
  shell.addChildren([
    overview,
    domains,
    addDomain,
    domain,
    certificates,
    certificate,
    edges,
    activity,
    settings,
    unknown,
  ]),
]);

export const router = createRouter({
  routeTree,
  defaultPreload: "intent",
  defaultPreloadStaleTime: 0,
  defaultErrorComponent: Crash,
  defaultNotFoundComponent: NotFound,
  defaultPendingComponent: () => <SkeletonRows rows={8} label={t.common.loading} />,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
