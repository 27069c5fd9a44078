import { Button, Textarea } from "@mantine/core";
import { useState } from "react";
import { sentence } from "@/api/client";
import type { components } from "@/api/schema";
import { t } from "@/lib/strings";
import { Diff } from "./Diff";
import { Notice } from "./Notice";
import { Refused } from "./Refused";

export type Plan = components["schemas"]["Plan"];

/**
 * A plan before it is carried out: what changes, what is warned of, and Apply.
 * In production, Apply asks once more.
 */
export function DiffReview({
  plan,
  environment,
  onApply,
  onBack,
  applying,
  error,
  applyLabel = t.diff.apply,
  danger = false,
}: {
  plan: Plan;
  environment: string;
  onApply: (reason: string) => void;
  onBack: () => void;
  applying: boolean;
  error?: Error | null;
  applyLabel?: string;
  danger?: boolean;
}) {
  const [asked, setAsked] = useState(false);
  const [reason, setReason] = useState("");
  const actions = plan.actions ?? [];
  const production = environment === "production";
  const color = danger ? { color: "red" } : {};

  if (actions.length === 0) {
    return (
      <div className="stack">
        <Notice tone="idle" title={t.diff.nothing}>
          {t.diff.nothingText}
        </Notice>
        <div className="row">
          <Button variant="default" onClick={onBack}>
            {t.common.back}
          </Button>
        </div>
      </div>
    );
  }
  return (
    <div className="stack">
      {(plan.warnings ?? []).map((warning) => (
        <Notice key={warning} tone="warn">
          {sentence(warning)}
        </Notice>
      ))}
      <Diff changes={actions.map((a) => ({ op: a.op, kind: a.kind, name: a.name, diff: a.diff }))} />
      <Textarea
        label={t.diff.reason}
        description={t.diff.reasonHint}
        value={reason}
        onChange={(e) => setReason(e.currentTarget.value)}
        maxLength={500}
        rows={2}
      />
      <Refused error={error} title={t.diff.failed} />
      {production && asked ? (
        <Notice
          tone="warn"
          title={t.diff.production}
          alert
          action={
            <div className="row">
              <Button variant="default" onClick={() => setAsked(false)} disabled={applying}>
                {t.common.cancel}
              </Button>
              <Button {...color} onClick={() => onApply(reason)} loading={applying} data-autofocus autoFocus>
                {t.diff.applyProduction}
              </Button>
            </div>
          }
        >
          {t.diff.productionText(actions.length)}
        </Notice>
      ) : (
        <div className="row">
          <Button {...color} onClick={() => (production ? setAsked(true) : onApply(reason))} loading={applying}>
            {applyLabel}
          </Button>
          <Button variant="default" onClick={onBack} disabled={applying}>
            {t.common.back}
          </Button>
        </div>
      )}
    </div>
  );
}
