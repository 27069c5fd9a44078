import { queryOptions } from "@tanstack/react-query";
import { api, body, type Schemas } from "@/api/client";
import type { Scope } from "@/app/session";

export type Certificate = Schemas["Certificate"];

const scopeKey = (scope: Scope) => `${scope.project.id}/${scope.environment}`;

export const certificatesQuery = (scope: Scope) =>
  queryOptions({
    queryKey: ["certificates", scopeKey(scope), "list"] as const,
    queryFn: async ({ signal }) => {
      const certificates: Certificate[] = [];
      let cursor: string | undefined;
      do {
        const page = await body(
          api.GET("/api/v1/infrastructure/ssl", {
            params: { query: { ...scope.query, limit: 500, ...(cursor ? { cursor } : {}) } },
            signal,
          }),
        );
        certificates.push(...(page.certificates ?? []));
        cursor = page.next_cursor || undefined;
      } while (cursor);
      return certificates;
    },
  });

export const certificateQuery = (scope: Scope, domain: string) =>
  queryOptions({
    queryKey: ["certificates", scopeKey(scope), "one", domain] as const,
    queryFn: async ({ signal }) =>
      (
        await body(
          api.GET("/api/v1/infrastructure/ssl/{domain}", { params: { path: { domain }, query: scope.query }, signal }),
        )
      ).certificate,
    refetchInterval: (query) => (query.state.data?.state === "issuing" ? 3000 : false),
  });
