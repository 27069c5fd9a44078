import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, body, type Schemas } from "@/api/client";
import type { Scope } from "@/app/session";

export type Traffic = Schemas["Traffic"];

/** Windows that are read from rollups: seconds back, and seconds a point. */
export const windows = {
  "1h": { window: 3600, step: 60 },
  "24h": { window: 86_400, step: 900 },
  "7d": { window: 604_800, step: 7200 },
} as const;

export type WindowName = keyof typeof windows;

export const trafficQuery = (scope: Scope, name: WindowName, domain?: string) =>
  queryOptions({
    queryKey: ["traffic", scope.project.id, scope.environment, name, domain ?? ""] as const,
    queryFn: ({ signal }) =>
      body(
        api.GET("/api/v1/infrastructure/traffic", {
          params: { query: { ...scope.query, ...windows[name], ...(domain ? { domain } : {}) } },
          signal,
        }),
      ),
    refetchInterval: 15_000, // rollups close once a minute
    placeholderData: keepPreviousData,
  });
