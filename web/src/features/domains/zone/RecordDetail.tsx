import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { may, type Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { ChangeFlow } from "@/ui/ChangeFlow";
import { CopyText } from "@/ui/CommandLine";
import { Icon } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { Fields } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import { Applied } from "../components/Applied";
import styles from "../domains.module.css";
import { propagationQuery } from "../stateQueries";
import { SpreadOf } from "../watch/PropagationPanel";
import { type RecordDraft, type RecordSet, useChangeRecord } from "../zoneQueries";
import { RecordEditor } from "./RecordForm";
import { providedFor, recordTitle, targetText } from "./records";

/** A set of records, unfolded: what is answered for it now, and the ways to change it. */
export function RecordDetail({ scope, domain, record }: { scope: Scope; domain: string; record: RecordSet }) {
  const [mode, setMode] = useState<"show" | "edit" | "remove">("show");
  const show = () => setMode("show");
  const answers = <AnswersNow scope={scope} domain={domain} record={record} />;
  if (mode === "edit") {
    return (
      <div className={styles["recordDetail"]}>
        <h3 className={styles["subTitle"]}>{t.recordForm.editTitle(recordTitle(record))}</h3>
        <RecordEditor scope={scope} domain={domain} zone={record.zone} record={record} onClose={show}>
          {answers}
        </RecordEditor>
      </div>
    );
  }
  if (mode === "remove") {
    return (
      <div className={styles["recordDetail"]}>
        <h3 className={styles["subTitle"]}>{t.recordForm.removeTitle(recordTitle(record))}</h3>
        <Remove scope={scope} domain={domain} record={record} onClose={show} />
      </div>
    );
  }
  const allowed = may(scope, "developer");
  const provided = providedFor(record);
  return (
    <div className={styles["recordDetail"]}>
      <div className="row">
        <Button
          variant="default"
          leftSection={<Icon name="edit" size={14} />}
          disabled={!allowed}
          onClick={() => setMode("edit")}
        >
          {t.zone.edit}
        </Button>
        <Button
          variant="default"
          leftSection={<Icon name="purge" size={14} />}
          disabled={!allowed}
          onClick={() => setMode("remove")}
        >
          {t.zone.remove}
        </Button>
      </div>
      {provided && <Notice tone="idle">{t.zone.providedText(provided)}</Notice>}
      <Fields rows={rowsOf(record)} />
      {answers}
    </div>
  );
}

function rowsOf(record: RecordSet): [string, ReactNode][] {
  const rows: [string, ReactNode][] = [[t.records.full, <CopyText key="name" value={record.full_name} />]];
  if (record.target) rows.push([t.recordForm.target, targetText(record.target)]);
  if (record.values && record.values.length > 0) {
    rows.push([t.recordForm.values, record.values.map((value) => <CopyText key={value} value={value} />)]);
  }
  if (record.steering) rows.push([t.zone.steering, <Steering key="steering" steering={record.steering} />]);
  if (record.comment) rows.push([t.zone.comment, record.comment]);
  const tags = Object.entries(record.tags ?? {});
  if (tags.length > 0) {
    rows.push([
      t.zone.tags,
      <span key="tags" className="mono">
        {tags.map(([k, v]) => `${k}=${v}`).join(", ")}
      </span>,
    ]);
  }
  rows.push([t.zone.id, <CopyText key="id" value={record.id} />]);
  return rows;
}

/** Who gets which answer, in words. */
function Steering({ steering }: { steering: NonNullable<RecordSet["steering"]> }) {
  const answers = steering.answers ?? [];
  return (
    <div className="stack tight">
      {steering.policy === "latency" && <span>{t.zone.policyLatency}</span>}
      {answers.map((a) => {
        const where = [...(a.countries ?? []), ...(a.continents ?? []), ...(a.regions ?? [])].join(", ");
        const what = a.target ? targetText(a.target) : (a.values ?? []).join(", ");
        const how = [
          a.order ? t.zone.order(a.order) : "",
          a.weight ? t.zone.weight(a.weight) : "",
          a.check ? t.zone.check(a.check) : "",
        ].filter(Boolean);
        const text = t.zone.answer(where || t.zone.anywhere, what);
        return (
          <div key={text + how.join()}>
            <span className="mono">{text}</span> {how.length > 0 && <span className="dim">{how.join(", ")}</span>}
          </div>
        );
      })}
    </div>
  );
}

/** What each resolver and name server answers now; asked for again until all have it. */
function AnswersNow({ scope, domain, record }: { scope: Scope; domain: string; record: RecordSet }) {
  const only = { name: record.full_name, type: record.type };
  const query = useQuery(propagationQuery(scope, domain, only));
  return (
    <section className="stack tight" aria-label={t.zone.answersTitle}>
      <div className="row between">
        <h3 className={styles["subTitle"]}>{t.zone.answersTitle}</h3>
        <Button
          variant="default"
          size="compact-xs"
          loading={query.isFetching}
          leftSection={<Icon name="refresh" size={13} />}
          onClick={() => void query.refetch()}
        >
          {t.watch.askNow}
        </Button>
      </div>
      <PageState query={query} skeleton={<SkeletonRows rows={2} />}>
        {({ sets }) => {
          const own = sets.filter((s) => s.name === record.full_name && s.type === record.type);
          if (own.length === 0) return <Notice tone="idle">{t.zone.answersNone(domain)}</Notice>;
          return (
            <div className={styles["spreads"]}>
              {own.map((set) => (
                <SpreadOf key={`${set.type} ${set.name}`} set={set} />
              ))}
            </div>
          );
        }}
      </PageState>
    </section>
  );
}

function Remove({
  scope,
  domain,
  record,
  onClose,
}: {
  scope: Scope;
  domain: string;
  record: RecordSet;
  onClose: () => void;
}) {
  const change = useChangeRecord(scope, domain);
  const draft: RecordDraft = { kind: "delete", record };
  return (
    <ChangeFlow<RecordDraft>
      environment={scope.environment}
      plan={change.plan}
      apply={(wanted, reason) => change.apply.mutateAsync({ draft: wanted, reason })}
      done={(revision, again) => <Applied scope={scope} revision={revision} onAgain={again} zoneOf={domain} />}
      form={({ review, planning, error }) => (
        <div className="stack">
          <Refused error={error} />
          <div className="row">
            <Button color="red" variant="outline" loading={planning} onClick={() => review(draft)}>
              {t.recordForm.review}
            </Button>
            <Button variant="default" onClick={onClose}>
              {t.common.cancel}
            </Button>
          </div>
        </div>
      )}
    />
  );
}
