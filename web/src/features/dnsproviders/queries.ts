import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, body, ifMatch, type Schemas } from "@/api/client";
import type { Scope } from "@/app/session";

export type DNSProvider = Schemas["DNSProvider"];
export type DNSDriver = Schemas["DNSDriver"];
export type Placement = Schemas["Placement"];

const key = (scope: Scope) => ["dns-providers", `${scope.project.id}/${scope.environment}`] as const;

/** The kinds of providers that can be used, with the credentials each needs. */
export const driversQuery = () =>
  queryOptions({
    queryKey: ["dns-drivers"] as const,
    queryFn: async ({ signal }) =>
      (await body(api.GET("/api/v1/infrastructure/dns/drivers", { signal }))).drivers ?? [],
    staleTime: Number.POSITIVE_INFINITY,
  });

/** The providers whose credentials are kept for an environment. */
export const providersQuery = (scope: Scope) =>
  queryOptions({
    queryKey: key(scope),
    queryFn: async ({ signal }) =>
      (
        await body(
          api.GET("/api/v1/infrastructure/dns/providers", {
            params: { query: { ...scope.query, limit: 500 } },
            signal,
          }),
        )
      ).providers ?? [],
  });

function useChanged(scope: Scope) {
  const client = useQueryClient();
  return () =>
    Promise.all([
      client.invalidateQueries({ queryKey: key(scope) }),
      client.invalidateQueries({ queryKey: ["domain-state"] }),
    ]);
}

export function useAddProvider(scope: Scope) {
  const changed = useChanged(scope);
  return useMutation({
    mutationFn: (input: { name: string; driver: string; credentials: Record<string, string> }) =>
      body(api.POST("/api/v1/infrastructure/dns/providers", { params: { query: scope.query }, body: input })),
    onSuccess: changed,
  });
}

export function useReplaceCredentials(scope: Scope) {
  const changed = useChanged(scope);
  return useMutation({
    mutationFn: ({ provider, credentials }: { provider: DNSProvider; credentials: Record<string, string> }) =>
      body(
        api.PUT("/api/v1/infrastructure/dns/providers/{name}/credentials", {
          params: { path: { name: provider.name }, query: scope.query, header: ifMatch(provider.revision) },
          body: { credentials },
        }),
      ),
    onSuccess: changed,
  });
}

/** Uses the credentials once, at the provider. */
export function useTestProvider(scope: Scope) {
  const changed = useChanged(scope);
  return useMutation({
    mutationFn: (provider: DNSProvider) =>
      body(
        api.POST("/api/v1/infrastructure/dns/providers/{name}/test", {
          params: { path: { name: provider.name }, query: scope.query },
        }),
      ).then((answer) => answer.provider),
    onSettled: changed,
  });
}

export function useDeleteProvider(scope: Scope) {
  const changed = useChanged(scope);
  return useMutation({
    mutationFn: (provider: DNSProvider) =>
      api.DELETE("/api/v1/infrastructure/dns/providers/{name}", {
        params: { path: { name: provider.name }, query: scope.query, header: ifMatch(provider.revision) },
      }),
    onSuccess: changed,
  });
}

const placementsKey = (scope: Scope) => ["dns-placements", `${scope.project.id}/${scope.environment}`] as const;

/** Where records of domains were set at DNS providers, wanted or not. */
export const placementsQuery = (scope: Scope) =>
  queryOptions({
    queryKey: placementsKey(scope),
    queryFn: async ({ signal }) => {
      const placements: Placement[] = [];
      let cursor: string | undefined;
      do {
        const page = await body(
          api.GET("/api/v1/infrastructure/dns/placements", {
            params: { query: { ...scope.query, limit: 500, ...(cursor ? { cursor } : {}) } },
            signal,
          }),
        );
        placements.push(...page.placements);
        cursor = page.next_cursor || undefined;
      } while (cursor);
      return placements;
    },
  });

/** Those whose records are not wanted any more: what waits for somebody first. */
export function leftovers(placements: Placement[]): Placement[] {
  const rank = (p: Placement) => (p.state === "needs_consent" ? 0 : p.reason === "Refused" ? 1 : 2);
  return placements
    .filter((p) => p.removing_since !== undefined)
    .sort((a, b) => rank(a) - rank(b) || a.domain.localeCompare(b.domain));
}

/** Agrees that the records go, though they may be much of their zone, and has it tried at once. */
export function useConsent(scope: Scope) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (placement: Placement) =>
      body(
        api.POST("/api/v1/infrastructure/dns/placements/{id}/consent", {
          params: { path: { id: placement.id }, query: scope.query },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: placementsKey(scope) }),
  });
}

/** Lets the records stay, and forgets them. */
export function useLeave(scope: Scope) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (placement: Placement) =>
      api.DELETE("/api/v1/infrastructure/dns/placements/{id}", {
        params: { path: { id: placement.id }, query: scope.query, header: ifMatch(placement.revision) },
      }),
    onSettled: () => client.invalidateQueries({ queryKey: placementsKey(scope) }),
  });
}
