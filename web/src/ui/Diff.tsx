import { Button } from "@mantine/core";
import { useState } from "react";
import type { components } from "@/api/schema";
import { resourceName } from "@/lib/revisions";
import { t } from "@/lib/strings";
import diff from "./diff.module.css";
import type { Tone } from "./StatusBadge";
import styles from "./ui.module.css";

export type FieldChange = components["schemas"]["FieldChange"];

/** One resource's part of a plan or a revision. */
export type ResourceChange = {
  op: string;
  kind: string;
  name: string;
  diff: FieldChange[] | null;
};

const tones: Record<string, Tone> = { create: "ok", update: "info", delete: "bad" };

/** A JSON value as text: scalars bare, what fits in a line in one, the rest indented. Key order is the server's, so equal values look equal. */
export function valueText(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value === "string") return value === "" ? '""' : value;
  const pretty = JSON.stringify(value, null, 2);
  const line = pretty.replace(/\n\s*/g, " ");
  return line.length <= 72 ? line : pretty;
}

/** How many resources of a large change are drawn before somebody asks for the rest. */
const shownAtFirst = 100;

/** Pointer, before and after of every field that changes, grouped by resource. */
export function Diff({ changes }: { changes: ResourceChange[] }) {
  const [all, setAll] = useState(false);
  return (
    <div>
      {(all ? changes : changes.slice(0, shownAtFirst)).map((change) => (
        <article
          key={`${change.kind}/${change.name}/${change.op}`}
          className={diff["diff"]}
          aria-label={t.diff.of(change.op, change.kind, resourceName(change.kind, change.name).text)}
        >
          <div className={diff["diffHead"]}>
            <OpBadge op={change.op} />
            <span className="soft">{t.kinds[change.kind] ?? change.kind}</span>
            <ResourceName kind={change.kind} name={change.name} />
          </div>
          {(change.diff ?? []).length === 0 && <p className={`dim ${diff["diffPointer"]}`}>{t.diff.noFields}</p>}
          {(change.diff ?? []).map((field) => (
            <div key={field.pointer} className={diff["diffRow"]}>
              <div className={`mono ${diff["diffPointer"]}`}>{field.pointer === "" ? "/" : field.pointer}</div>
              <div className={diff["diffValues"]}>
                {field.before !== undefined && (
                  <div className={`mono ${diff["diffValue"]} ${diff["diffBefore"]}`}>
                    <span className={diff["diffSign"]} role="img" aria-label={t.diff.before}>
                      −
                    </span>
                    <span>{valueText(field.before)}</span>
                  </div>
                )}
                {field.after !== undefined && (
                  <div className={`mono ${diff["diffValue"]} ${diff["diffAfter"]}`}>
                    <span className={diff["diffSign"]} role="img" aria-label={t.diff.after}>
                      +
                    </span>
                    <span>{valueText(field.after)}</span>
                  </div>
                )}
              </div>
            </div>
          ))}
        </article>
      ))}
      {!all && changes.length > shownAtFirst && (
        <Button mt="sm" variant="default" onClick={() => setAll(true)}>
          {t.diff.all(changes.length)}
        </Button>
      )}
    </div>
  );
}

/** The name as people read it, and as the DNS has it where that is another: what is changed must be plain. */
function ResourceName({ kind, name }: { kind: string; name: string }) {
  const { text, wire } = resourceName(kind, name);
  return (
    <>
      <span className="mono">{text}</span>
      {wire !== text && <span className="mono dim">{wire}</span>}
    </>
  );
}

export function OpBadge({ op }: { op: string }) {
  const sign = { create: "+", update: "~", delete: "−" }[op] ?? "·";
  const tone = tones[op] ?? "idle";
  return (
    <span className={`row tight ${styles[tone]}`} style={{ color: "var(--tone)", fontWeight: 500 }}>
      <span className="mono" aria-hidden="true">
        {sign}
      </span>
      {t.diff.ops[op] ?? op}
    </span>
  );
}
