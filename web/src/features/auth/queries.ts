import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, body, ifMatch, type Schemas } from "@/api/client";
import { sessionKey } from "@/app/session";

export type User = Schemas["User"];
export type LoggedIn = Schemas["LoggedIn"];

export function useLogin() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (login: { email: string; password: string }) => body(api.POST("/api/v1/login", { body: login })),
    onSuccess: () => client.invalidateQueries({ queryKey: sessionKey }),
  });
}

const links = new Map<string, Promise<LoggedIn>>();

/** Spends a one-time link. A link works once, so asking twice for the same one waits for the first answer. */
export function spendLink(link: string): Promise<LoggedIn> {
  const running = links.get(link);
  if (running) return running;
  const started = body(api.POST("/api/v1/login", { body: { link } }));
  links.set(link, started);
  return started;
}

export type AccountChange = {
  email?: string;
  name?: string;
  password?: string;
  current_password?: string;
};

export function useUpdateAccount(revision: number) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (change: AccountChange) =>
      body(api.PUT("/api/v1/account", { params: { header: ifMatch(revision) }, body: change })),
    onSuccess: () => client.invalidateQueries({ queryKey: sessionKey }),
  });
}
