import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, body, type Schemas } from "@/api/client";
import type { Scope } from "@/app/session";

export type Revision = Schemas["Revision"];

const scopeKey = (scope: Scope) => `${scope.project.id}/${scope.environment}`;

export type RevisionFilter = { kind?: string; id?: string };

export const revisionsQuery = (scope: Scope, filter: RevisionFilter = {}, limit = 50) =>
  infiniteQueryOptions({
    queryKey: ["revisions", scopeKey(scope), "list", filter, limit] as const,
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) =>
      body(
        api.GET("/api/v1/infrastructure/revisions", {
          params: { query: { ...scope.query, ...filter, limit, ...(pageParam ? { cursor: pageParam } : {}) } },
          signal,
        }),
      ),
    getNextPageParam: (page) => page.next_cursor || undefined,
  });

/** One revision with its diff and how far it has come on each edge. */
export const revisionQuery = (scope: Scope, revision: number) =>
  queryOptions({
    queryKey: ["revisions", scopeKey(scope), "one", revision] as const,
    queryFn: ({ signal }) =>
      body(
        api.GET("/api/v1/infrastructure/revisions/{revision}", {
          params: { path: { revision }, query: scope.query },
          signal,
        }),
      ),
    // Events say when something moved; this catches what was missed while it is moving.
    refetchInterval: (query) => {
      const r = query.state.data?.rollout;
      return r && r.pending > 0 ? 2000 : false;
    },
  });

export function usePlanRevert(scope: Scope) {
  return useMutation({
    mutationFn: ({ revision, force }: { revision: number; force: boolean }) =>
      body(
        api.POST("/api/v1/infrastructure/revisions/{revision}/revert", {
          params: { path: { revision }, query: { ...scope.query, dry_run: true } },
          body: { force },
        }),
      ).then((answer) => answer as Schemas["Plan"]),
  });
}

export function useRevert(scope: Scope) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ revision, force, reason }: { revision: number; force: boolean; reason: string }) =>
      body(
        api.POST("/api/v1/infrastructure/revisions/{revision}/revert", {
          params: { path: { revision }, query: scope.query },
          body: { force, ...(reason ? { reason } : {}) },
        }),
      ).then((answer) => answer as Schemas["Undone"]),
    onSuccess: () =>
      Promise.all(
        ["revisions", "domains", "cdn", "certificates"].map((key) => client.invalidateQueries({ queryKey: [key] })),
      ),
  });
}

/** Takes back the last change of one resource: what an Undo button does. */
export function useUndoLast(scope: Scope) {
  const revert = useRevert(scope);
  return async (kind: string, id: string) => {
    const page = await body(
      api.GET("/api/v1/infrastructure/revisions", { params: { query: { ...scope.query, kind, id, limit: 1 } } }),
    );
    const last = page.revisions?.[0];
    if (!last) throw new Error("there is no change to take back");
    return revert.mutateAsync({ revision: last.revision, force: false, reason: "" });
  };
}
