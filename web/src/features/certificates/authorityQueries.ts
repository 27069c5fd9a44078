import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, body, ifMatch, type Schemas } from "@/api/client";

export type Authority = Schemas["Authority"];
export type AuthorityWish = Schemas["ReplaceAuthority"];
export type Replacement = Schemas["Replacement"];
export type Selector = Schemas["ReplacementSelector"];
type Plan = Schemas["Plan"];

const authoritiesKey = ["authorities"] as const;
const replacementsKey = ["replacements"] as const;

/** The authorities that certificates are ordered from, in the order in which they are tried. Of the whole platform. */
export const authoritiesQuery = () =>
  queryOptions({
    queryKey: authoritiesKey,
    queryFn: async ({ signal }) =>
      (await body(api.GET("/api/v1/infrastructure/certificate-authorities", { signal }))).authorities,
    refetchInterval: 30_000, // budgets are used up, and pauses end, without an event
  });

/** Adds an authority, or changes the one that is there. */
export function usePutAuthority(current: Authority | null) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ name, wish }: { name: string; wish: AuthorityWish }) =>
      body<unknown>(
        current?.id
          ? api.PUT("/api/v1/infrastructure/certificate-authorities/{authority}", {
              params: { path: { authority: current.name }, header: ifMatch(current.revision) },
              body: wish,
            })
          : api.POST("/api/v1/infrastructure/certificate-authorities", { body: { name, ...wish } }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: authoritiesKey }),
  });
}

export function useRemoveAuthority() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (authority: Authority) =>
      api.DELETE("/api/v1/infrastructure/certificate-authorities/{authority}", {
        params: { path: { authority: authority.name }, header: ifMatch(authority.revision) },
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: authoritiesKey }),
  });
}

/** Has authorities tried in another order: names of those in use. */
export function useOrderAuthorities() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (authorities: string[]) =>
      body(api.POST("/api/v1/infrastructure/certificate-authorities/order", { body: { authorities } })).then(
        (answer) => (answer as Schemas["AuthorityList"]).authorities,
      ),
    onMutate: async (names) => {
      await client.cancelQueries({ queryKey: authoritiesKey });
      const old = client.getQueryData<Authority[]>(authoritiesKey);
      if (old) client.setQueryData(authoritiesKey, reordered(old, names));
      return old;
    },
    onSuccess: (list) => client.setQueryData(authoritiesKey, list),
    onError: (_error, _names, old) => {
      if (old) client.setQueryData(authoritiesKey, old);
    },
  });
}

/** The list in the order of names; those that are not named come after, as they are. */
export function reordered(list: Authority[], names: string[]): Authority[] {
  const place = (a: Authority) => (names.includes(a.name) ? names.indexOf(a.name) : names.length);
  return list.toSorted((a, b) => place(a) - place(b));
}

/** Mass replacements, newest first. */
export const replacementsQuery = () =>
  queryOptions({
    queryKey: replacementsKey,
    queryFn: async ({ signal }) => {
      const runs: Replacement[] = [];
      let cursor: string | undefined;
      do {
        const page = await body(
          api.GET("/api/v1/infrastructure/certificate-replacements", {
            params: { query: { limit: 500, ...(cursor ? { cursor } : {}) } },
            signal,
          }),
        );
        runs.push(...page.replacements);
        cursor = page.next_cursor || undefined;
      } while (cursor);
      return runs.sort((a, b) => b.created_at.localeCompare(a.created_at));
    },
    refetchInterval: (query) => (query.state.data?.some((r) => r.state === "running") ? 3000 : 30_000),
  });

export type ReplacementWish = { selector: Selector; per_hour: number };

/** How many certificates a replacement would be for, and the planned run itself, which starts nothing yet. */
export function usePlanReplacement() {
  const client = useQueryClient();
  return {
    preview: useMutation({
      mutationFn: (wish: ReplacementWish) =>
        body(
          api.POST("/api/v1/infrastructure/certificate-replacements", {
            params: { query: { dry_run: true } },
            body: wish,
          }),
        ).then((answer) => answer as unknown as Plan),
    }),
    keep: useMutation({
      mutationFn: (wish: ReplacementWish) =>
        body(api.POST("/api/v1/infrastructure/certificate-replacements", { body: wish })),
      onSuccess: () => client.invalidateQueries({ queryKey: replacementsKey }),
    }),
  };
}

export type RunAction = "start" | "pause" | "cancel";

export function useSteerReplacement() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ run, action }: { run: Replacement; action: RunAction }) =>
      body<unknown>(
        api.POST(`/api/v1/infrastructure/certificate-replacements/{replacement}/${action}`, {
          params: { path: { replacement: run.id } },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: replacementsKey }),
  });
}
