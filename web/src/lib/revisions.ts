import type { Schemas } from "@/api/client";
import { readable } from "./idn";
import { t } from "./strings";

export type Revision = Schemas["Revision"];

/** What people look for first in a change that touches several kinds at once. */
const order = ["domain", "cdn", "certificate", "edge"];

/**
 * A resource as a reader knows it: a record set is "A www.example.com", not
 * "www/A@example.com", and names are in Unicode. `wire` is the same with names
 * as the DNS has them.
 */
export function resourceName(kind: string, name: string): { text: string; wire: string } {
  const [, owner, type, zone] = (kind === "rrset" && /^(.*)\/([^/@]+)@([^@]+)$/.exec(name)) || [];
  if (!owner || !type || !zone) return { text: readable(name), wire: name };
  const full = owner === "@" ? zone : `${owner}.${zone}`;
  return { text: `${type} ${readable(full)}`, wire: `${type} ${full}` };
}

/** One line for a revision: its most telling entry, how many more there are, and its name on the wire where that is another. */
export function summarize(revision: Revision): { text: string; more: number; wire?: string } {
  const rank = (kind: string) => (order.includes(kind) ? order.indexOf(kind) : order.length);
  const first = [...revision.entries].sort((a, b) => rank(a.kind) - rank(b.kind))[0];
  if (!first) return { text: "", more: 0 };
  const name = resourceName(first.kind, first.name);
  return {
    text: t.activity.summary(first.op, t.kinds[first.kind] ?? first.kind, name.text),
    more: revision.entries.length - 1,
    ...(name.wire !== name.text && { wire: name.wire }),
  };
}
