import type { Schemas } from "@/api/client";
import { t } from "./strings";

export type Revision = Schemas["Revision"];

/** What people look for first in a change that touches several kinds at once. */
const order = ["domain", "cdn", "certificate", "edge"];

/** A resource as a reader knows it: a record set is "A www.example.com", not "www/A@example.com". */
export function resourceName(kind: string, name: string): string {
  const [, owner, type, zone] = (kind === "rrset" && /^(.*)\/([^/@]+)@([^@]+)$/.exec(name)) || [];
  if (!owner || !type || !zone) return name;
  return `${type} ${owner === "@" ? zone : `${owner}.${zone}`}`;
}

/** One line for a revision: its most telling entry, and how many more there are. */
export function summarize(revision: Revision): { text: string; more: number } {
  const rank = (kind: string) => (order.includes(kind) ? order.indexOf(kind) : order.length);
  const first = [...revision.entries].sort((a, b) => rank(a.kind) - rank(b.kind))[0];
  if (!first) return { text: "", more: 0 };
  return {
    text: t.activity.summary(first.op, t.kinds[first.kind] ?? first.kind, resourceName(first.kind, first.name)),
    more: revision.entries.length - 1,
  };
}
