import type { Scope } from "@/app/session";
import { t } from "@/lib/strings";

const roles = ["viewer", "developer", "admin", "owner"];

/** The roles that this account can give: none above its own. */
export function roleOptions(scope: Scope): { value: string; label: string }[] {
  const own = roles.indexOf(scope.project.role);
  return roles.slice(0, Math.max(own, 0) + 1).map((role) => ({
    value: role,
    label: `${t.settings.roles[role] ?? role}: ${t.settings.roleHints[role] ?? ""}`,
  }));
}

export function shortRoleOptions(scope: Scope): { value: string; label: string }[] {
  return roleOptions(scope).map(({ value }) => ({ value, label: t.settings.roles[value] ?? value }));
}
