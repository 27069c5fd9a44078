import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { membersQuery, tokensQuery } from "@/features/settings/queries";
import { t } from "@/lib/strings";
import { may, type Scope, useSession } from "./session";

/** Turns "user usr_...", "token tok_..." and "system ..." of a cause into a name. */
export function useActorNames(scope: Scope): (actor: string) => string {
  const session = useSession();
  const members = useQuery({ ...membersQuery(scope.project.id), staleTime: 60_000 });
  const tokens = useQuery({ ...tokensQuery(scope), staleTime: 60_000, enabled: may(scope, "developer") });
  return useMemo(() => {
    const names = new Map<string, string>();
    for (const member of members.data ?? []) names.set(member.id, member.name || member.email);
    for (const token of tokens.data ?? []) names.set(token.id, t.activity.token(token.name));
    return (actor) => {
      const [kind = "", id = ""] = actor.split(" ");
      if (kind === "system" || kind === "") return t.activity.system;
      if (kind === "user" && id === session.user?.id) return t.activity.you;
      return names.get(id) ?? (kind === "token" ? t.activity.token(`…${id.slice(-6)}`) : actor);
    };
  }, [members.data, tokens.data, session.user?.id]);
}
