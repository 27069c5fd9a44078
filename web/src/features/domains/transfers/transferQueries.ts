import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, body, ifMatch, type Schemas } from "@/api/client";
import type { Scope } from "@/app/session";
import { usePlanned } from "@/lib/planned";
import { newestRevision, type Zone } from "../zoneQueries";

export type Transfers = Schemas["ZoneTransfers"];
export type TransferWish = Schemas["SetZoneTransfers"];
export type Fetch = Schemas["TransferFetch"];
export type TSIGKey = Schemas["TSIGKey"];
export type KeySecret = Schemas["ExportedTSIGKey"];
type Plan = Schemas["Plan"];

const scoped = (scope: Scope) => `${scope.project.id}/${scope.environment}`;

// Below "zones": an event of a zone or of a key makes both old.
const transfersKey = (scope: Scope, domain: string) => ["zones", scoped(scope), domain, "transfers"] as const;
const keysKey = (scope: Scope) => ["zones", scoped(scope), "tsig"] as const;

/** Who a zone is given to and taken from, and how the copy stands. */
export const transfersQuery = (scope: Scope, domain: string) =>
  queryOptions({
    queryKey: transfersKey(scope, domain),
    queryFn: async ({ signal }) =>
      (
        await body(
          api.GET("/api/v1/infrastructure/domains/{domain}/zone/transfers", {
            params: { path: { domain }, query: scope.query },
            signal,
          }),
        )
      ).transfers,
    // Looks at the primaries come with events when they change something; that nothing has changed does not.
    refetchInterval: (query) => {
      const { copy, out } = query.state.data ?? {};
      // Edges tell once a minute who has fetched it, and that makes no event either.
      if (!copy) return out ? 15_000 : false;
      return copy.state === "current" ? 15_000 : 3000;
    },
  });

/** The TSIG keys of an environment. */
export const tsigKeysQuery = (scope: Scope) =>
  queryOptions({
    queryKey: keysKey(scope),
    queryFn: async ({ signal }) => {
      const keys: TSIGKey[] = [];
      let cursor: string | undefined;
      do {
        const page = await body(
          api.GET("/api/v1/infrastructure/dns/tsig", {
            params: { query: { ...scope.query, limit: 500, ...(cursor ? { cursor } : {}) } },
            signal,
          }),
        );
        keys.push(...(page.keys ?? []));
        cursor = page.next_cursor || undefined;
      } while (cursor);
      return keys;
    },
    refetchInterval: (query) => (query.state.data?.some((k) => !k.ready) ? 1000 : false),
  });

/** What would change, and the change itself. Both directions are replaced, so the other one goes along as it is. */
export function useSetTransfers(scope: Scope, domain: string, zone: Zone, revision: number) {
  const client = useQueryClient();
  const base = usePlanned(revision);
  const call = (wish: TransferWish, query: { dry_run?: true; reason?: string }) =>
    body(
      api.PUT("/api/v1/infrastructure/domains/{domain}/zone/transfers", {
        params: { path: { domain }, query: { ...scope.query, ...query }, header: base(query.dry_run === true) },
        body: wish,
      }),
    );
  return {
    plan: (wish: TransferWish) => call(wish, { dry_run: true }).then((answer) => answer as unknown as Plan),
    apply: useMutation({
      mutationFn: async ({ wish, reason }: { wish: TransferWish; reason: string }) => {
        await call(wish, reason ? { reason } : {});
        return newestRevision(scope, { kind: "zone", id: zone.id });
      },
      onSuccess: () => Promise.all(["zones", "revisions"].map((key) => client.invalidateQueries({ queryKey: [key] }))),
    }),
  };
}

/** Asks the primaries now. */
export function useRefresh(scope: Scope, domain: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (whole: boolean) =>
      body(
        api.POST("/api/v1/infrastructure/domains/{domain}/zone/transfers/refresh", {
          params: { path: { domain }, query: scope.query },
          body: { whole },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: ["zones"] }),
  });
}

export function useMakeKey(scope: Scope) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (wish: { name: string; algorithm: string; secret?: string; comment?: string }) =>
      body(api.POST("/api/v1/infrastructure/dns/tsig", { params: { query: scope.query }, body: wish })).then(
        (answer) => (answer as Schemas["TSIGKeyAnswer"]).key,
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: keysKey(scope) }),
  });
}

export function useRemoveKey(scope: Scope) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (key: TSIGKey) =>
      api.DELETE("/api/v1/infrastructure/dns/tsig/{name}", {
        params: { path: { name: key.name }, query: scope.query, header: ifMatch(key.revision) },
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: keysKey(scope) }),
  });
}

/** Takes a key's secret out, once it is made: for owners, and in the audit log. */
export function useTakeSecret(scope: Scope) {
  return useMutation({
    mutationFn: (name: string) =>
      body(
        api.POST("/api/v1/infrastructure/dns/tsig/{name}/export", { params: { path: { name }, query: scope.query } }),
      ),
    gcTime: 0, // not kept once it is off the screen
  });
}
