import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { ApiError, api, body, type Schemas } from "@/api/client";
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
    // Events tell of issuance; what edges see comes without one.
    refetchInterval: (query) => (query.state.data?.state === "issuing" ? 3000 : 30_000),
  });

const stateKey = (scope: Scope, what: string, domain: string) => ["certificate-state", scopeKey(scope), what, domain];

/** How well the edges serve it; null until one has looked, which takes seconds. */
export const scoreQuery = (scope: Scope, domain: string) =>
  queryOptions({
    queryKey: stateKey(scope, "score", domain),
    queryFn: async ({ signal }) => {
      try {
        return await body(
          api.GET("/api/v1/infrastructure/ssl/{domain}/score", {
            params: { path: { domain }, query: scope.query },
            signal,
          }),
        );
      } catch (error) {
        // Said of the certificate itself: no edge has looked. Anything else that is unavailable is a failure.
        const { code, problem } = error instanceof ApiError ? error : { code: "", problem: undefined };
        if (code === "unavailable" && problem?.resource?.startsWith("certificate ")) return null;
        throw error;
      }
    },
    refetchInterval: (query) => (query.state.data === null ? 3000 : 60_000),
  });

/** Whether a certificate could be issued now. Asks the DNS and the edges, so only when somebody wants to know. */
export const preflightQuery = (scope: Scope, domain: string) =>
  queryOptions({
    queryKey: stateKey(scope, "preflight", domain),
    queryFn: ({ signal }) =>
      body(
        api.GET("/api/v1/infrastructure/ssl/{domain}/preflight", {
          params: { path: { domain }, query: scope.query },
          signal,
        }),
      ),
    enabled: false,
    staleTime: Number.POSITIVE_INFINITY,
  });

function useCertificatesChanged() {
  const client = useQueryClient();
  return () => Promise.all(["certificates", "domains"].map((key) => client.invalidateQueries({ queryKey: [key] })));
}

/** A new certificate before the present one is due. */
export function useRenew(scope: Scope, domain: string) {
  return useMutation({
    mutationFn: () =>
      body(api.POST("/api/v1/infrastructure/ssl/{domain}/renew", { params: { path: { domain }, query: scope.query } })),
    onSettled: useCertificatesChanged(),
  });
}

export type Upload = { chain_pem: string; key_pem: string; takeover: boolean };

/** Replaces the certificate by one that was got elsewhere. The API judges chain, key and names. */
export function useUpload(scope: Scope, domain: string) {
  return useMutation({
    mutationFn: (upload: Upload) =>
      body(
        api.POST("/api/v1/infrastructure/ssl/{domain}", {
          params: { path: { domain }, query: scope.query },
          body: { type: "custom", ...upload },
        }),
      ),
    onSuccess: useCertificatesChanged(),
  });
}

/** Has a certificate replaced, and the old one revoked. */
export function useRevoke(scope: Scope, domain: string) {
  return useMutation({
    mutationFn: (reason: string) =>
      body(
        api.POST("/api/v1/infrastructure/ssl/{domain}/revoke", {
          params: { path: { domain }, query: scope.query },
          body: { reason },
        }),
      ),
    onSettled: useCertificatesChanged(),
  });
}
