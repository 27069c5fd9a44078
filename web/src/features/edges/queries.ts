import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, body, ifMatch, type Schemas } from "@/api/client";

export type Edge = Schemas["Edge"];

/** Every edge of the platform; heartbeats move its numbers, so it is asked for again every few seconds. */
export const edgesQuery = () =>
  queryOptions({
    queryKey: ["edges"] as const,
    queryFn: async ({ signal }) => ({
      edges: (await body(api.GET("/api/v1/infrastructure/edges", { signal }))).edges ?? [],
    }),
    refetchInterval: 5000,
  });

/**
 * What the API leaves out of an edge: zeros, and for who has no role on the
 * platform the numbers. The role tells one from the other.
 */
export function countsOf(edge: Edge, platformRole: string | undefined): { rate: number | null; sites: number | null } {
  const known = platformRole !== undefined && platformRole !== "" && edge.state !== "offline";
  return { rate: edge.requests_per_second ?? (known ? 0 : null), sites: edge.sites ?? (known ? 0 : null) };
}

export type Held = Schemas["Held"];

/** Removals that would empty much of the configuration and wait for somebody's consent. For the platform's admins. */
export const heldQuery = () =>
  queryOptions({
    queryKey: ["held"] as const,
    queryFn: async ({ signal }) => (await body(api.GET("/api/v1/infrastructure/held", { signal }))).held,
    refetchInterval: 30_000,
  });

export function useRelease() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (kind: string) =>
      body(api.POST("/api/v1/infrastructure/held/{kind}/release", { params: { path: { kind } } })),
    onSettled: () => client.invalidateQueries({ queryKey: ["held"] }),
  });
}

export function useJoinToken() {
  return useMutation({
    mutationFn: (input: { region?: string; ttl_seconds?: number }) =>
      body(api.POST("/api/v1/infrastructure/edges/join-tokens", { body: input })),
  });
}

export function useDrain() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ edge, draining }: { edge: Edge; draining: boolean }) =>
      body(
        api.POST("/api/v1/infrastructure/edges/{edge}/drain", {
          params: { path: { edge: edge.id } },
          body: { draining },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: ["edges"] }),
  });
}

export function useRevokeEdge() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (edge: Edge) =>
      api.DELETE("/api/v1/infrastructure/edges/{edge}", {
        params: { path: { edge: edge.id }, header: ifMatch(edge.revision) },
      }),
    onSettled: () => client.invalidateQueries({ queryKey: ["edges"] }),
  });
}
