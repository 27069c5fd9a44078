import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, body, ifMatch, type Schemas } from "@/api/client";
import { type Scope, sessionKey } from "@/app/session";

export type Token = Schemas["Token"];
export type Member = Schemas["Member"];
export type Project = Schemas["Project"];
export type Environment = Schemas["Environment"];

export const settingsKeys = {
  tokens: (project: string) => ["tokens", project] as const,
  members: (project: string) => ["members", project] as const,
  projects: ["projects"] as const,
  environments: (project: string) => ["environments", project] as const,
  root: ["trust", "root"] as const,
};

export const tokensQuery = (scope: Scope) =>
  queryOptions({
    queryKey: settingsKeys.tokens(scope.project.id),
    queryFn: async ({ signal }) =>
      (await body(api.GET("/api/v1/tokens", { params: { query: { project_id: scope.project.id } }, signal }))).tokens ??
      [],
  });

export function useCreateToken(scope: Scope) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (token: { name: string; role: string; scopes: string[]; expires_at?: string }) =>
      body(api.POST("/api/v1/tokens", { body: { ...token, project_id: scope.project.id } })),
    onSuccess: () => client.invalidateQueries({ queryKey: settingsKeys.tokens(scope.project.id) }),
  });
}

export function useRevokeToken(scope: Scope) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => api.DELETE("/api/v1/tokens/{id}", { params: { path: { id } } }),
    onSuccess: () => client.invalidateQueries({ queryKey: settingsKeys.tokens(scope.project.id) }),
  });
}

export const membersQuery = (project: string) =>
  queryOptions({
    queryKey: settingsKeys.members(project),
    queryFn: async ({ signal }) =>
      (await body(api.GET("/api/v1/projects/{project}/members", { params: { path: { project } }, signal }))).members ??
      [],
  });

export function useInvite(project: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (invitation: { email: string; name?: string; role: string }) =>
      body(api.POST("/api/v1/projects/{project}/members", { params: { path: { project } }, body: invitation })),
    onSuccess: () => client.invalidateQueries({ queryKey: settingsKeys.members(project) }),
  });
}

export function useSetRole(project: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ member, role }: { member: Member; role: string }) =>
      body(
        api.PATCH("/api/v1/projects/{project}/members/{user}", {
          params: { path: { project, user: member.id }, header: ifMatch(member.revision) },
          body: { role },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: settingsKeys.members(project) }),
  });
}

export function useRemoveMember(project: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (member: Member) =>
      api.DELETE("/api/v1/projects/{project}/members/{user}", {
        params: { path: { project, user: member.id }, header: ifMatch(member.revision) },
      }),
    onSettled: () => client.invalidateQueries({ queryKey: settingsKeys.members(project) }),
  });
}

export const projectsQuery = () =>
  queryOptions({
    queryKey: settingsKeys.projects,
    queryFn: async ({ signal }) => (await body(api.GET("/api/v1/projects", { signal }))).projects ?? [],
  });

export const environmentsQuery = (project: string) =>
  queryOptions({
    queryKey: settingsKeys.environments(project),
    queryFn: async ({ signal }) =>
      (await body(api.GET("/api/v1/projects/{project}/environments", { params: { path: { project } }, signal })))
        .environments ?? [],
  });

/** After projects or environments change, the switch in the header (the session) changes with them. */
function useProjectsChanged() {
  const client = useQueryClient();
  return () =>
    Promise.all([
      client.invalidateQueries({ queryKey: settingsKeys.projects }),
      client.invalidateQueries({ queryKey: ["environments"] }),
      client.invalidateQueries({ queryKey: sessionKey }),
    ]);
}

export function useCreateProject() {
  const changed = useProjectsChanged();
  return useMutation({
    mutationFn: (project: { name: string; title?: string; description?: string }) =>
      body(api.POST("/api/v1/projects", { body: project })),
    onSuccess: changed,
  });
}

export function useUpdateProject() {
  const changed = useProjectsChanged();
  return useMutation({
    mutationFn: ({ project, ...texts }: { project: Project; title: string; description: string }) =>
      body(
        api.PATCH("/api/v1/projects/{project}", {
          params: { path: { project: project.id }, header: ifMatch(project.revision) },
          body: texts,
        }),
      ),
    onSuccess: changed,
  });
}

export function useDeleteProject() {
  const client = useQueryClient();
  const changed = useProjectsChanged();
  return useMutation({
    mutationFn: (project: Project) =>
      api.DELETE("/api/v1/projects/{project}", {
        params: { path: { project: project.id }, header: ifMatch(project.revision) },
      }),
    onSuccess: (_answer, project) => {
      // Its panel goes first: what belongs to a deleted project must not be asked for again.
      client.setQueryData<Project[]>(settingsKeys.projects, (old) => old?.filter((p) => p.id !== project.id));
      client.removeQueries({ queryKey: settingsKeys.environments(project.id) });
      return changed();
    },
  });
}

export function useCreateEnvironment(project: string) {
  const changed = useProjectsChanged();
  return useMutation({
    mutationFn: (name: string) =>
      body(api.POST("/api/v1/projects/{project}/environments", { params: { path: { project } }, body: { name } })),
    onSuccess: changed,
  });
}

export function useDeleteEnvironment(project: string) {
  const changed = useProjectsChanged();
  return useMutation({
    mutationFn: (environment: Environment) =>
      api.DELETE("/api/v1/projects/{project}/environments/{environment}", {
        params: { path: { project, environment: environment.name }, header: ifMatch(environment.revision) },
      }),
    onSuccess: changed,
  });
}

/** The root of the local authority as PEM, with its fingerprint worked out here, so that it can be compared. */
export const rootQuery = () =>
  queryOptions({
    queryKey: settingsKeys.root,
    queryFn: async ({ signal }) => {
      const pem = await body(api.GET("/api/v1/trust/root.pem", { parseAs: "text", signal }));
      return { pem, fingerprint: await fingerprint(pem) };
    },
  });

/** SHA-256 of the first certificate in a PEM text, "AB:CD:..."; null where the browser offers no digest (plain HTTP to another host). */
export async function fingerprint(pem: string): Promise<string | null> {
  const match = /-----BEGIN CERTIFICATE-----([\s\S]+?)-----END CERTIFICATE-----/.exec(pem);
  if (!match?.[1] || !globalThis.crypto?.subtle) return null;
  const der = Uint8Array.from(atob(match[1].replace(/\s/g, "")), (c) => c.charCodeAt(0));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", der));
  return [...digest].map((b) => b.toString(16).padStart(2, "0").toUpperCase()).join(":");
}
