import { readable } from "@/lib/idn";
import { t } from "@/lib/strings";
import type { RecordSet } from "../zoneQueries";

/** The types that the form offers; any other is written as TYPE and its number (RFC 3597). */
export const recordTypes = [
  "A",
  "AAAA",
  "ALIAS",
  "CNAME",
  "DNAME",
  "MX",
  "TXT",
  "SRV",
  "CAA",
  "NS",
  "PTR",
  "HTTPS",
  "SVCB",
  "TLSA",
  "SSHFP",
  "NAPTR",
  "DS",
  "LOC",
];

/** The types whose answer may be what the platform has: its edges. */
export const targetTypes = ["A", "AAAA", "ALIAS"];

/** A set in words: "A www". */
export function recordTitle(record: { name: string; type: string }): string {
  return `${record.type} ${record.name}`;
}

export function targetText(target: { kind: string; id?: string }): string {
  return t.zone.target(t.zone.targets[target.kind] ?? target.kind, target.id ?? "");
}

/** The domain whose set-up keeps a set as it is; of sets that people made, none. */
export function providedFor(record: { tags?: Record<string, string> }): string | undefined {
  return record.tags?.["edgewright.provided_for"];
}

/** What a set answers, one entry a line. */
export function answersOf(record: Pick<RecordSet, "values" | "target" | "steering">): string[] {
  const plain = [...(record.target ? [targetText(record.target)] : []), ...(record.values ?? [])];
  if (plain.length > 0) return plain;
  return (record.steering?.answers ?? []).flatMap((a) => (a.target ? [targetText(a.target)] : (a.values ?? [])));
}

/** Whether a set fits the text of the filter. */
export function matchesRecord(record: RecordSet, text: string): boolean {
  const wanted = text.trim().toLowerCase();
  return [
    record.name,
    record.full_name,
    readable(record.full_name),
    record.type,
    record.comment ?? "",
    ...answersOf(record),
  ].some((v) => v.toLowerCase().includes(wanted));
}

/** Names in the order of the tree: the zone itself, then names by their labels from the right. */
export function nameOrder(name: string): string {
  return name === "@" ? "" : name.split(".").reverse().join(".");
}

/** The parts of a DS record in presentation form, which registrars ask for one by one. */
export function readDS(ds: string): { tag: string; algorithm: string; type: string; digest: string } | null {
  const [tag, algorithm, type, ...digest] = ds.trim().split(/\s+/);
  if (!tag || !algorithm || !type || digest.length === 0) return null;
  return { tag, algorithm, type, digest: digest.join("").toUpperCase() };
}

/** One record of a zone file as a copy is exported: complete, a line each. */
export type CopiedRecord = { id: string; name: string; type: string; ttl: number; value: string };

/** Reads the records of an exported copy; names become relative to the zone. */
export function readCopy(file: string, zone: string): CopiedRecord[] {
  const records: CopiedRecord[] = [];
  for (const line of file.split("\n")) {
    const [, owner = "", ttl, type = "", value = ""] = /^([^\s$;]\S*)\s+(\d+)\s+IN\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (owner === "") continue;
    const full = owner.replace(/\.$/, "");
    const name = full === zone ? "@" : full.endsWith(`.${zone}`) ? full.slice(0, -zone.length - 1) : full;
    records.push({ id: String(records.length), name, type, ttl: Number(ttl), value });
  }
  return records;
}
