import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { ApiError, api, body, type Schemas } from "@/api/client";
import type { Scope } from "@/app/session";
import { usePlanned } from "@/lib/planned";

export type Certificate = Schemas["Certificate"];
export type CertificateDetail = Schemas["CertificateDetail"];
export type ChainLink = Schemas["ChainLink"];
export type CertificatePatch = Schemas["CertificatePatch"];
export type CSR = Schemas["CSR"];
type Plan = Schemas["Plan"];

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

/** A certificate with its chain and how edges serve it; null when the domain has none. */
export const certificateQuery = (scope: Scope, domain: string) =>
  queryOptions({
    queryKey: ["certificates", scopeKey(scope), "one", domain] as const,
    queryFn: async ({ signal }) => {
      try {
        return await body(
          api.GET("/api/v1/infrastructure/ssl/{domain}", { params: { path: { domain }, query: scope.query }, signal }),
        );
      } catch (error) {
        if (error instanceof ApiError && error.code === "not_found") return null;
        throw error;
      }
    },
    // Events tell of issuance; what edges see comes without one.
    refetchInterval: (query) => (query.state.data?.certificate.state === "issuing" ? 3000 : 30_000),
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

/** The certificate that a domain lacks. */
export function useProvision(scope: Scope, domain: string) {
  return useMutation({
    mutationFn: () =>
      body(
        api.POST("/api/v1/infrastructure/ssl/{domain}", { params: { path: { domain }, query: scope.query }, body: {} }),
      ),
    onSettled: useCertificatesChanged(),
  });
}

/** A new certificate before the present one is due. */
export function useRenew(scope: Scope, domain: string) {
  return useMutation({
    mutationFn: () =>
      body(api.POST("/api/v1/infrastructure/ssl/{domain}/renew", { params: { path: { domain }, query: scope.query } })),
    onSettled: useCertificatesChanged(),
  });
}

/** One got elsewhere: PEM, or PKCS #12 in base64. Without a key, that of a request made here. */
export type Upload =
  | { chain_pem: string; key_pem?: string; takeover: boolean }
  | { pkcs12: string; password: string; takeover: boolean };

/** Replaces the certificate by one that was got elsewhere, after the API has judged chain, key and names. */
export function useUpload(scope: Scope, domain: string) {
  const call = (upload: Upload, query: { dry_run?: true; reason?: string }) =>
    body(
      api.POST("/api/v1/infrastructure/ssl/{domain}", {
        params: { path: { domain }, query: { ...scope.query, ...query } },
        body: { type: "custom", ...upload },
      }),
    );
  return {
    plan: (upload: Upload) => call(upload, { dry_run: true }).then((answer) => answer as unknown as Plan),
    apply: useMutation({
      mutationFn: ({ upload, reason }: { upload: Upload; reason: string }) =>
        call(upload, reason ? { reason } : {}).then(
          (answer) => (answer as Schemas["Provisioned"]).certificate.revision,
        ),
      onSuccess: useCertificatesChanged(),
    }),
  };
}

/** What would change of a certificate's settings, and the change. */
export function useConfigureCertificate(scope: Scope, certificate: Certificate) {
  const base = usePlanned(certificate.revision);
  const call = (patch: CertificatePatch, query: { dry_run?: true; reason?: string }) =>
    body(
      api.PATCH("/api/v1/infrastructure/ssl/{domain}", {
        params: {
          path: { domain: certificate.domain },
          query: { ...scope.query, ...query },
          header: base(query.dry_run === true),
        },
        body: patch,
      }),
    );
  return {
    plan: (patch: CertificatePatch) => call(patch, { dry_run: true }).then((answer) => answer as unknown as Plan),
    apply: useMutation({
      mutationFn: ({ patch, reason }: { patch: CertificatePatch; reason: string }) =>
        call(patch, reason ? { reason } : {}).then(
          (answer) => (answer as Schemas["CertificateAnswer"]).certificate.revision,
        ),
      onSuccess: useCertificatesChanged(),
    }),
  };
}

/** Takes a certificate out with its private key, which the audit log notes. */
export function useExport(scope: Scope, domain: string) {
  return useMutation({
    mutationFn: (password: string) =>
      body(
        api.POST("/api/v1/infrastructure/ssl/{domain}/export", {
          params: { path: { domain }, query: scope.query },
          body: password === "" ? {} : { password },
        }),
      ),
    gcTime: 0, // the key is not to outlive what shows it
  });
}

/** Requests whose certificates another authority is to make. */
export const requestsQuery = (scope: Scope, domain: string) =>
  queryOptions({
    queryKey: stateKey(scope, "csr", domain),
    queryFn: async ({ signal }) =>
      (
        await body(
          api.GET("/api/v1/infrastructure/ssl/{domain}/csr", {
            params: { path: { domain }, query: scope.query },
            signal,
          }),
        )
      ).requests,
  });

export function useNewRequest(scope: Scope, domain: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (wish: Schemas["NewCSR"]) =>
      body(
        api.POST("/api/v1/infrastructure/ssl/{domain}/csr", {
          params: { path: { domain }, query: scope.query },
          body: wish,
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: stateKey(scope, "csr", domain) }),
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
