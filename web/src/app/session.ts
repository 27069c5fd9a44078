import { queryOptions, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo, useSyncExternalStore } from "react";
import { ApiError, api, body, type Schemas } from "@/api/client";

export type Session = Schemas["Session"];
export type ProjectAccess = Schemas["ProjectAccess"];

export const sessionKey = ["session"] as const;

export const sessionQuery = () =>
  queryOptions({
    queryKey: sessionKey,
    queryFn: ({ signal }) => body(api.GET("/api/v1/session", { signal })),
    staleTime: 5 * 60_000,
    retry: (failures, error) => !(error instanceof ApiError && error.status === 401) && failures < 2,
  });

/** Whether a request was refused for want of a session after one had been there. */
export const expiry = (() => {
  let expired = false;
  const listeners = new Set<() => void>();
  return {
    set(next: boolean) {
      if (next === expired) return;
      expired = next;
      for (const l of listeners) l();
    },
    get: () => expired,
    subscribe(listener: () => void) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
  };
})();

export function useExpired(): boolean {
  return useSyncExternalStore(expiry.subscribe, expiry.get);
}

/** The session; only below the shell, which renders its children once there is one. */
export function useSession(): Session {
  const { data } = useQuery(sessionQuery());
  if (!data) throw new Error("the session is read outside of the shell");
  return data;
}

/** Project and environment that a screen is about, as the URL says or as the account's first. */
export type Scope = {
  project: ProjectAccess;
  environment: string;
  /** The query parameters that every scoped call of the API takes. */
  query: { project_id: string; environment: string };
};

export function scopeOf(
  session: Session,
  wanted: { project?: string | undefined; environment?: string | undefined },
): Scope | null {
  const projects = session.projects ?? [];
  const name = wanted.project ?? "default";
  const project = projects.find((p) => p.name === name || p.id === name) ?? projects[0];
  if (!project) return null;
  const environments = project.environments ?? [];
  const named = wanted.environment ?? "production";
  const environment = environments.includes(named) ? named : (environments[0] ?? "production");
  return { project, environment, query: { project_id: project.id, environment } };
}

const root = getRouteApi("__root__");

export function useScope(): Scope {
  const session = useSession();
  const { project, environment } = root.useSearch();
  const scope = useMemo(() => scopeOf(session, { project, environment }), [session, project, environment]);
  if (!scope) throw new Error("no project is open to this account");
  return scope;
}

const ranks: Record<string, number> = { viewer: 0, developer: 1, admin: 2, owner: 3 };

/** Whether the role in this scope's project is at least `role`. The API decides; this only greys out what it would refuse. */
export function may(scope: Scope, role: "developer" | "admin" | "owner"): boolean {
  return (ranks[scope.project.role] ?? 0) >= (ranks[role] ?? 3);
}

/** Whether the role on the whole platform lets its holder change it. */
export function isPlatformAdmin(session: Session): boolean {
  return ["admin", "owner"].includes(session.principal.platform_role ?? "");
}
