import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, body, ifMatch, type Schemas } from "@/api/client";
import type { Scope } from "@/app/session";
import { type Domain, domainKeys } from "./queries";

export type Setup = Schemas["DomainSetup"];
export type Registry = Schemas["RegistryState"];
export type Watch = Schemas["DomainWatch"];
export type DomainEvent = Schemas["DomainEvent"];
export type Propagation = Schemas["DomainPropagation"];
export type TransferOffer = Schemas["TransferOffer"];
export type Plan = Schemas["Plan"];

// Not below "domains": these ask name servers and registries, and an event about a
// rollout is no reason to ask them again.
const stateKey = (scope: Scope, what: string, domain: string) =>
  ["domain-state", `${scope.project.id}/${scope.environment}`, what, domain] as const;

/** How often what is incomplete is asked for again, while somebody looks. */
const againMs = 10_000;

/** How often what this platform itself is about to do is asked for. */
const soonMs = 1500;

/** Who serves the zone now, the ways to set the records, what is in the way. Asks the DNS. */
export const setupQuery = (scope: Scope, domain: string) =>
  queryOptions({
    queryKey: stateKey(scope, "setup", domain),
    queryFn: ({ signal }) =>
      body(
        api.GET("/api/v1/infrastructure/domains/{domain}/setup", {
          params: { path: { domain }, query: scope.query },
          signal,
        }),
      ),
    refetchInterval: (query) => {
      const setup = query.state.data;
      if (setup?.mode === "managed" && !setup.managed && !setup.error) return soonMs; // the zone is being made
      return (setup?.blockers.length ?? 0) > 0 ? againMs : false;
    },
  });

export const registryQuery = (scope: Scope, domain: string) =>
  queryOptions({
    queryKey: stateKey(scope, "registry", domain),
    queryFn: ({ signal }) =>
      body(
        api.GET("/api/v1/infrastructure/domains/{domain}/registry", {
          params: { path: { domain }, query: scope.query },
          signal,
        }),
      ),
  });

export const watchQuery = (scope: Scope, domain: string) =>
  queryOptions({
    queryKey: stateKey(scope, "watch", domain),
    queryFn: ({ signal }) =>
      body(
        api.GET("/api/v1/infrastructure/domains/{domain}/watch", {
          params: { path: { domain }, query: scope.query },
          signal,
        }),
      ),
    refetchInterval: 60_000,
  });

/** Events of one domain, newest first. */
export const eventsQuery = (scope: Scope, domain: string) =>
  queryOptions({
    queryKey: [...domainKeys.one(scope, domain), "events"] as const,
    queryFn: async ({ signal }) =>
      (
        await body(
          api.GET("/api/v1/infrastructure/domains/{domain}/events", {
            params: { path: { domain }, query: scope.query },
            signal,
          }),
        )
      ).events ?? [],
  });

/** What everybody answers now for the records of a domain, or for one set of them. Asks the DNS. */
export const propagationQuery = (scope: Scope, domain: string, only: { name?: string; type?: string } = {}) =>
  queryOptions({
    queryKey: [...stateKey(scope, "propagation", domain), only.name ?? "", only.type ?? ""] as const,
    queryFn: ({ signal }) =>
      body(
        api.GET("/api/v1/infrastructure/domains/{domain}/propagation", {
          params: { path: { domain }, query: { ...scope.query, ...only } },
          signal,
        }),
      ),
    refetchInterval: (query) => (query.state.data && !query.state.data.complete ? againMs : false),
  });

/** Proof by mail: sends links to one address, or to all. */
export function useSendMail(scope: Scope, domain: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (input: { address?: string; resend: boolean }) =>
      body(
        api.POST("/api/v1/infrastructure/domains/{domain}/verify", {
          params: { path: { domain }, query: scope.query },
          body: { method: "email", ...input },
        }),
      ),
    onSuccess: (answer) => client.setQueryData(domainKeys.one(scope, domain), answer.domain_config),
  });
}

export function useSetLock(scope: Scope, domain: Domain) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (input: { locked: boolean; reason: string }) =>
      body(
        api.PUT("/api/v1/infrastructure/domains/{domain}/lock", {
          params: { path: { domain: domain.domain }, query: scope.query, header: ifMatch(domain.revision) },
          body: { locked: input.locked, ...(input.reason ? { reason: input.reason } : {}) },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: ["domains"] }),
  });
}

export const transfersQuery = (scope: Scope) =>
  queryOptions({
    queryKey: ["transfers", scope.project.id] as const,
    queryFn: async ({ signal }) =>
      (
        await body(
          api.GET("/api/v1/infrastructure/transfers", {
            params: { query: { project_id: scope.project.id } },
            signal,
          }),
        )
      ).transfers ?? [],
  });

export function useOfferTransfer(scope: Scope, domain: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (input: { to_project_id: string; note?: string }) =>
      body(
        api.POST("/api/v1/infrastructure/domains/{domain}/transfer", {
          params: { path: { domain }, query: scope.query },
          body: input,
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: ["transfers"] }),
  });
}

/** Takes back an offer of one's own, or declines one of another. */
export function useWithdrawTransfer(scope: Scope) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (offer: TransferOffer) =>
      api.DELETE("/api/v1/infrastructure/transfers/{id}", {
        params: {
          path: { id: offer.id },
          query: { project_id: scope.project.id },
          header: ifMatch(offer.revision),
        },
      }),
    onSettled: () => client.invalidateQueries({ queryKey: ["transfers"] }),
  });
}

export function usePlanAccept(scope: Scope, offer: TransferOffer) {
  return useMutation({
    mutationFn: (cdn: string) =>
      body(
        api.POST("/api/v1/infrastructure/transfers/{id}/accept", {
          params: { path: { id: offer.id }, query: { ...scope.query, dry_run: true } },
          body: cdn ? { cdn } : {},
        }),
      ).then((answer) => answer as unknown as Plan),
  });
}

export function useAcceptTransfer(scope: Scope, offer: TransferOffer) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ cdn, reason }: { cdn: string; reason: string }) =>
      body(
        api.POST("/api/v1/infrastructure/transfers/{id}/accept", {
          params: { path: { id: offer.id }, query: { ...scope.query, ...(reason ? { reason } : {}) } },
          body: cdn ? { cdn } : {},
        }),
      ).then((answer) => (answer as Schemas["DomainAnswer"]).domain_config),
    onSuccess: () =>
      Promise.all(
        ["transfers", "domains", "cdn", "certificates"].map((key) => client.invalidateQueries({ queryKey: [key] })),
      ),
  });
}
