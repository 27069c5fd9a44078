import { keepPreviousData, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { ApiError, api, body, ifMatch, type Schemas } from "@/api/client";
import type { Scope } from "@/app/session";
import { usePlanned } from "@/lib/planned";
import { readCopy } from "./zone/records";

export type Zone = Schemas["Zone"];
export type RecordSet = Schemas["Record"];
export type RecordData = Omit<Schemas["PutRecord"], "name" | "type">;
export type ZoneImport = Schemas["ZoneImport"];
export type ZoneFile = Schemas["ZoneFile"];
export type RecordEdit = Schemas["RecordEdit"];
export type Security = Schemas["ZoneSecurity"];
export type SecurityWish = Schemas["ZoneSecurityWish"];
type Plan = Schemas["Plan"];

const zoneKey = (scope: Scope, domain: string, what: string) =>
  ["zones", `${scope.project.id}/${scope.environment}`, domain, what] as const;

const at = (scope: Scope, domain: string) => ({ path: { domain }, query: scope.query });

/** The managed zone that a domain is, or lies in; null when there is none. */
export const zoneQuery = (scope: Scope, domain: string) =>
  queryOptions({
    queryKey: zoneKey(scope, domain, "zone"),
    queryFn: async ({ signal }) => {
      try {
        return (
          await body(
            api.GET("/api/v1/infrastructure/domains/{domain}/zone/settings", { params: at(scope, domain), signal }),
          )
        ).zone;
      } catch (error) {
        if (error instanceof ApiError && error.code === "not_found") return null;
        throw error;
      }
    },
    // Events say when something moved; this catches what was missed while it is moving.
    refetchInterval: (query) => ((query.state.data?.rollout.pending ?? 0) > 0 ? 1500 : false),
  });

/** The most that one answer of a list holds (the API's bound). */
const pageSize = 500;

/** All sets of the zone, page after page: filters and sorting work on the whole list. */
export const recordsQuery = (scope: Scope, domain: string) =>
  queryOptions({
    queryKey: zoneKey(scope, domain, "records"),
    queryFn: async ({ signal }) => {
      const records: RecordSet[] = [];
      let cursor: string | undefined;
      do {
        const page = await body(
          api.GET("/api/v1/infrastructure/domains/{domain}/records", {
            params: {
              path: { domain },
              query: { ...scope.query, limit: pageSize, ...(cursor ? { cursor } : {}) },
            },
            signal,
          }),
        );
        records.push(...(page.records ?? []));
        cursor = page.next_cursor || undefined;
      } while (cursor);
      return records;
    },
  });

/** Where the zone file is read from: a link, so that the browser saves it under its name. */
export function zoneFileUrl(scope: Scope, domain: string): string {
  return `/api/v1/infrastructure/domains/${encodeURIComponent(domain)}/zone?${new URLSearchParams(scope.query)}`;
}

/** The records of a secondary zone, as they came: its serial says when others have come. */
export const copiedRecordsQuery = (scope: Scope, domain: string, zone: Zone) =>
  queryOptions({
    queryKey: [...zoneKey(scope, domain, "copy"), zone.serial] as const,
    queryFn: async ({ signal }) => {
      try {
        const file = await body(
          api.GET("/api/v1/infrastructure/domains/{domain}/zone", {
            params: at(scope, domain),
            parseAs: "text",
            signal,
          }),
        );
        return readCopy(file as unknown as string, zone.name);
      } catch (error) {
        if (error instanceof ApiError && error.code === "unavailable" && zone.serial === 0) return []; // nothing has come yet
        throw error;
      }
    },
    placeholderData: keepPreviousData,
  });

function useZonesChanged() {
  const client = useQueryClient();
  return () =>
    Promise.all(
      ["zones", "domains", "domain-state", "revisions"].map((key) => client.invalidateQueries({ queryKey: [key] })),
    );
}

/** The revision that a change without one in its answer made: the newest of what it changed. */
export async function newestRevision(scope: Scope, filter: { kind?: string; id?: string } = {}): Promise<number> {
  const page = await body(
    api.GET("/api/v1/infrastructure/revisions", { params: { query: { ...scope.query, ...filter, limit: 1 } } }),
  );
  return page.revisions?.[0]?.revision ?? 0;
}

export function useMakeZone(scope: Scope, domain: string) {
  const changed = useZonesChanged();
  const call = (dryRun: boolean, reason = "") =>
    body(
      api.POST("/api/v1/infrastructure/domains/{domain}/zone", {
        params: {
          path: { domain },
          query: { ...scope.query, ...(dryRun ? { dry_run: true } : {}), ...(reason ? { reason } : {}) },
        },
      }),
    );
  return {
    plan: () => call(true).then((answer) => answer as unknown as Plan),
    apply: useMutation({
      mutationFn: (reason: string) => call(false, reason).then((answer) => (answer as Schemas["ZoneAnswer"]).zone),
      onSuccess: changed,
    }),
  };
}

export type ZonePatch = Schemas["ZonePatch"];

/** What a zone says of itself. */
export function useConfigureZone(scope: Scope, domain: string, zone: Zone) {
  const changed = useZonesChanged();
  const base = usePlanned(zone.revision);
  const call = (patch: ZonePatch, query: { dry_run?: true; reason?: string }) =>
    body(
      api.PATCH("/api/v1/infrastructure/domains/{domain}/zone/settings", {
        params: { path: { domain }, query: { ...scope.query, ...query }, header: base(query.dry_run === true) },
        body: patch,
      }),
    );
  return {
    plan: (patch: ZonePatch) => call(patch, { dry_run: true }).then((answer) => answer as unknown as Plan),
    apply: useMutation({
      mutationFn: ({ patch, reason }: { patch: ZonePatch; reason: string }) =>
        call(patch, reason ? { reason } : {}).then((answer) => (answer as Schemas["ZoneAnswer"]).zone.revision),
      onSuccess: changed,
    }),
  };
}

/** A set as the form has it: of a new one name and type, of one that is there its ID and revision. */
export type RecordDraft =
  | { kind: "create"; name: string; type: string; data: RecordData }
  | { kind: "update"; record: RecordSet; data: RecordData }
  | { kind: "delete"; record: RecordSet };

/** What would change, and the change itself, of one set of records. */
export function useChangeRecord(scope: Scope, domain: string) {
  const changed = useZonesChanged();
  const call = async (draft: RecordDraft, query: { dry_run?: true; reason?: string }): Promise<unknown> => {
    const params = { path: { domain }, query: { ...scope.query, ...query } };
    if (draft.kind === "create") {
      return body(
        api.POST("/api/v1/infrastructure/domains/{domain}/records", {
          params,
          body: { name: draft.name, type: draft.type, ...draft.data },
        }),
      );
    }
    const one = {
      ...params,
      path: { domain, id: draft.record.id },
      header: ifMatch(draft.record.revision),
    };
    if (draft.kind === "update") {
      return body(api.PUT("/api/v1/infrastructure/domains/{domain}/records/{id}", { params: one, body: draft.data }));
    }
    return (await api.DELETE("/api/v1/infrastructure/domains/{domain}/records/{id}", { params: one })).data;
  };
  return {
    plan: (draft: RecordDraft) => call(draft, { dry_run: true }) as Promise<Plan>,
    apply: useMutation({
      mutationFn: async ({ draft, reason }: { draft: RecordDraft; reason: string }) => {
        const answer = await call(draft, reason ? { reason } : {});
        if (draft.kind === "delete") return newestRevision(scope, { kind: "rrset", id: draft.record.id });
        return (answer as Schemas["RecordAnswerBody"]).record.revision;
      },
      onSuccess: changed,
    }),
  };
}

/** What would change, and the change itself, of many sets as one. */
export function useEditRecords(scope: Scope, domain: string) {
  const changed = useZonesChanged();
  const call = (edit: RecordEdit, query: { dry_run?: true; reason?: string }) =>
    body(
      api.POST("/api/v1/infrastructure/domains/{domain}/records/edit", {
        params: { path: { domain }, query: { ...scope.query, ...query } },
        body: edit,
      }),
    );
  return {
    plan: (edit: RecordEdit) => call(edit, { dry_run: true }).then((answer) => answer as unknown as Plan),
    apply: useMutation({
      mutationFn: async ({ edit, reason }: { edit: RecordEdit; reason: string }) => {
        await call(edit, reason ? { reason } : {});
        return newestRevision(scope);
      },
      onSuccess: changed,
    }),
  };
}

/**
 * Removes a zone with all that is in it: who calls it has said so. `done` is called
 * also when what asked is gone by then, as it is when the event comes first.
 */
export function useRemoveZone(scope: Scope, zone: Zone, done: () => void) {
  const changed = useZonesChanged();
  return useMutation({
    mutationFn: () =>
      api.DELETE("/api/v1/infrastructure/domains/{domain}/zone", {
        params: {
          path: { domain: zone.name },
          query: { ...scope.query, consent: true },
          header: ifMatch(zone.revision),
        },
      }),
    onSuccess: () => {
      done();
      return changed();
    },
  });
}

/** What a zone file would change, and the import itself. */
export function useImportZone(scope: Scope, domain: string, zone: Zone) {
  const changed = useZonesChanged();
  const base = usePlanned(zone.revision);
  const call = (file: ZoneFile, reason = "") =>
    body(
      api.PUT("/api/v1/infrastructure/domains/{domain}/zone", {
        params: {
          path: { domain },
          query: { ...scope.query, ...(reason ? { reason } : {}) },
          header: base(file.preview === true),
        },
        body: file,
      }),
    ).then((answer) => answer as ZoneImport);
  return {
    preview: useMutation({ mutationFn: (file: ZoneFile) => call({ ...file, preview: true }) }),
    apply: useMutation({
      mutationFn: async ({ file, reason }: { file: ZoneFile; reason: string }) => {
        await call(file, reason);
        return newestRevision(scope);
      },
      onSuccess: changed,
    }),
  };
}

export const securityQuery = (scope: Scope, domain: string) =>
  queryOptions({
    queryKey: zoneKey(scope, domain, "dnssec"),
    queryFn: async ({ signal }) =>
      (await body(api.GET("/api/v1/infrastructure/domains/{domain}/dnssec", { params: at(scope, domain), signal })))
        .dnssec,
    // Steps of a rollover come with events; the parent's DS changes without one.
    refetchInterval: (query) => (query.state.data?.rollover || query.state.data?.enabled ? 15_000 : false),
  });

export function useSetSecurity(scope: Scope, domain: string, zone: Zone) {
  const changed = useZonesChanged();
  const base = usePlanned(zone.revision);
  const call = (wish: SecurityWish, query: { dry_run?: true; reason?: string }) =>
    body(
      api.PUT("/api/v1/infrastructure/domains/{domain}/dnssec", {
        params: { path: { domain }, query: { ...scope.query, ...query }, header: base(query.dry_run === true) },
        body: wish,
      }),
    );
  return {
    plan: (wish: SecurityWish) => call(wish, { dry_run: true }).then((answer) => answer as unknown as Plan),
    apply: useMutation({
      mutationFn: async ({ wish, reason }: { wish: SecurityWish; reason: string }) => {
        await call(wish, reason ? { reason } : {});
        return newestRevision(scope, { kind: "zone", id: zone.id });
      },
      onSuccess: changed,
    }),
  };
}

export function useRollover(scope: Scope, domain: string) {
  const changed = useZonesChanged();
  return useMutation({
    mutationFn: (key: string) =>
      body(
        api.POST("/api/v1/infrastructure/domains/{domain}/dnssec/rollover", {
          params: at(scope, domain),
          body: { key },
        }),
      ),
    onSuccess: changed,
  });
}
