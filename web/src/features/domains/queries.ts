import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, body, ifMatch, type Schemas } from "@/api/client";
import type { Scope } from "@/app/session";
import { usePlanned } from "@/lib/planned";

export type Domain = Schemas["Domain"];
export type DNSRecord = Schemas["DNSRecord"];
export type CDN = Schemas["CDN"];
export type Plan = Schemas["Plan"];
export type Purge = Schemas["Purge"];
export type ReplaceCDN = Schemas["ReplaceCDN"];

const scopeKey = (scope: Scope) => `${scope.project.id}/${scope.environment}`;

export const domainKeys = {
  list: (scope: Scope) => ["domains", scopeKey(scope), "list"] as const,
  one: (scope: Scope, domain: string) => ["domains", scopeKey(scope), "one", domain] as const,
};

/** Whether there is a site to look at: a wildcard has no address, and what is not served yet only an error. */
export function visitable(domain: Domain): boolean {
  return !domain.domain.startsWith("*.") && domain.conditions.some((c) => c.type === "Serving" && c.status === "true");
}

/** The most that one answer of a list holds (the API's bound). */
const pageSize = 500;

/** All domains of the scope, page after page: filters and sorting work on the whole list. */
export const domainsQuery = (scope: Scope) =>
  queryOptions({
    queryKey: domainKeys.list(scope),
    queryFn: async ({ signal }) => {
      const domains: Domain[] = [];
      let cursor: string | undefined;
      do {
        const page = await body(
          api.GET("/api/v1/infrastructure/domains", {
            params: { query: { ...scope.query, limit: pageSize, ...(cursor ? { cursor } : {}) } },
            signal,
          }),
        );
        domains.push(...(page.domains ?? []));
        cursor = page.next_cursor || undefined;
      } while (cursor);
      return { domains };
    },
  });

/** Whether something about the domain is still on its way, so that it is worth asking again soon. */
export function unsettled(domain: Domain): boolean {
  return (
    domain.status !== "active" ||
    domain.certificate.state === "issuing" ||
    (domain.verification.required && (domain.verification.records ?? []).some((r) => !r.found))
  );
}

export const domainQuery = (scope: Scope, domain: string) =>
  queryOptions({
    queryKey: domainKeys.one(scope, domain),
    queryFn: async ({ signal }) =>
      (
        await body(
          api.GET("/api/v1/infrastructure/domains/{domain}", {
            params: { path: { domain }, query: scope.query },
            signal,
          }),
        )
      ).domain_config,
    // Events bring changes at once; what resolvers answer changes without one.
    refetchInterval: (query) => (query.state.data && unsettled(query.state.data) ? 5000 : false),
  });

export function useAddDomain(scope: Scope) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (input: { domain: string; origin?: string; cdn?: string }) =>
      body(
        api.POST("/api/v1/infrastructure/domains", {
          params: { query: scope.query },
          body: { ...input, auto_configure: true },
        }),
      ).then((answer) => answer as Schemas["DomainAdded"]),
    onSuccess: (added) => {
      client.setQueryData(domainKeys.one(scope, added.domain_config.domain), added.domain_config);
      return client.invalidateQueries({ queryKey: ["domains"] });
    },
  });
}

export function useVerifyDomain(scope: Scope, domain: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (method: "dns" | "file") =>
      body(
        api.POST("/api/v1/infrastructure/domains/{domain}/verify", {
          params: { path: { domain }, query: scope.query },
          body: { method },
        }),
      ),
    onSuccess: (answer) => {
      client.setQueryData(domainKeys.one(scope, domain), answer.domain_config);
      void client.invalidateQueries({ queryKey: domainKeys.list(scope) });
    },
  });
}

export type DomainPatch = {
  redirect_https?: boolean;
  cdn?: string;
  hsts?: Schemas["HSTS"];
  tls?: Schemas["TLS"];
  dns?: string;
  dns_account?: string;
};

/** What would change of a domain, and the change. */
export function useChangeDomain(scope: Scope, domain: Domain) {
  const client = useQueryClient();
  const base = usePlanned(domain.revision);
  const call = (patch: DomainPatch, query: { dry_run?: true; reason?: string }) =>
    body(
      api.PATCH("/api/v1/infrastructure/domains/{domain}", {
        params: {
          path: { domain: domain.domain },
          query: { ...scope.query, ...query },
          header: base(query.dry_run === true),
        },
        body: patch,
      }),
    );
  return {
    plan: (patch: DomainPatch) => call(patch, { dry_run: true }).then((answer) => answer as Plan),
    apply: useMutation({
      mutationFn: ({ patch, reason }: { patch: DomainPatch; reason: string }) =>
        call(patch, reason ? { reason } : {}).then((answer) => (answer as Schemas["DomainAnswer"]).domain_config),
      onSuccess: (updated) => {
        client.setQueryData(domainKeys.one(scope, updated.domain), updated);
        void client.invalidateQueries({ queryKey: ["domains"] });
      },
    }),
  };
}

/**
 * What of the domain's records at DNS providers goes with it, a sentence each;
 * none when none were set there. Asks the providers.
 */
export const removalQuery = (scope: Scope, domain: Domain) =>
  queryOptions({
    queryKey: ["domain-state", scopeKey(scope), "removal", domain.domain, domain.revision] as const,
    queryFn: ({ signal }) =>
      body(
        api.DELETE("/api/v1/infrastructure/domains/{domain}", {
          params: {
            path: { domain: domain.domain },
            query: { ...scope.query, dry_run: true, consent: true },
            header: ifMatch(domain.revision),
          },
          signal,
        }),
      ).then((answer) => (answer as unknown as Plan).warnings ?? []),
    gcTime: 0,
  });

/** Removes a domain; its records at DNS providers go too, though they are much of a zone, unless they are left. */
export function useRemoveDomain(scope: Scope) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ domain, leave }: { domain: Domain; leave: boolean }) =>
      api.DELETE("/api/v1/infrastructure/domains/{domain}", {
        params: {
          path: { domain: domain.domain },
          query: { ...scope.query, ...(leave ? { leave_records: true } : { consent: true }) },
          header: ifMatch(domain.revision),
        },
      }),
    onSuccess: (_answer, { domain }) => {
      client.removeQueries({ queryKey: domainKeys.one(scope, domain.domain) });
      return client.invalidateQueries({ queryKey: domainKeys.list(scope) });
    },
  });
}

export const cdnQuery = (scope: Scope, name: string) =>
  queryOptions({
    queryKey: ["cdn", scopeKey(scope), "one", name] as const,
    queryFn: async ({ signal }) =>
      (
        await body(
          api.GET("/api/v1/infrastructure/cdn/{name}", { params: { path: { name }, query: scope.query }, signal }),
        )
      ).cdn_deployment,
  });

export const cdnsQuery = (scope: Scope) =>
  queryOptions({
    queryKey: ["cdn", scopeKey(scope), "list"] as const,
    queryFn: async ({ signal }) =>
      (
        await body(
          api.GET("/api/v1/infrastructure/cdn", { params: { query: { ...scope.query, limit: pageSize } }, signal }),
        )
      ).cdn_deployments ?? [],
  });

/** What would change of a CDN, and the change. */
export function useChangeCDN(scope: Scope, cdn: CDN) {
  const client = useQueryClient();
  const base = usePlanned(cdn.revision);
  const call = (next: ReplaceCDN, query: { dry_run?: true; reason?: string }) =>
    body(
      api.PUT("/api/v1/infrastructure/cdn/{name}", {
        params: { path: { name: cdn.name }, query: { ...scope.query, ...query }, header: base(query.dry_run === true) },
        body: next,
      }),
    );
  return {
    plan: (next: ReplaceCDN) => call(next, { dry_run: true }).then((answer) => answer as Plan),
    apply: useMutation({
      mutationFn: ({ next, reason }: { next: ReplaceCDN; reason: string }) =>
        call(next, reason ? { reason } : {}).then((answer) => (answer as Schemas["CDNAnswer"]).cdn_deployment),
      onSuccess: () =>
        Promise.all([
          client.invalidateQueries({ queryKey: ["cdn"] }),
          client.invalidateQueries({ queryKey: ["domains"] }),
        ]),
    }),
  };
}

export function usePurge(scope: Scope) {
  return useMutation({
    mutationFn: (input: { domain: string; paths?: string[]; purge_all?: boolean }) =>
      body(api.POST("/api/v1/infrastructure/cdn/purge", { params: { query: scope.query }, body: input })),
  });
}

/** A purge that was not done when it was answered: asked for until it is, in case its events are missed. */
export const purgeQuery = (scope: Scope, id: string, done: boolean) =>
  queryOptions({
    queryKey: ["purges", id] as const,
    queryFn: ({ signal }) =>
      body(
        api.GET("/api/v1/infrastructure/cdn/purges/{id}", {
          params: { path: { id }, query: { project_id: scope.query.project_id } },
          signal,
        }),
      ),
    enabled: !done,
    refetchInterval: (query) => (query.state.data?.state === "acknowledged" ? false : 1500),
  });
