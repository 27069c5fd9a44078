import { Button, Modal, Progress } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { date } from "@/lib/format";
import { t } from "@/lib/strings";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { FormEnd } from "@/ui/FormEnd";
import { Icon } from "@/ui/icons";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { StatusBadge, type Tone } from "@/ui/StatusBadge";
import { TimeAgo, TimeUntil } from "@/ui/Time";
import {
  type Replacement,
  type RunAction,
  replacementsQuery,
  type Selector,
  useSteerReplacement,
} from "../authorityQueries";
import styles from "../certificates.module.css";
import { PlanForm } from "./PlanForm";

const tones: Record<string, Tone> = {
  planned: "idle",
  running: "info",
  paused: "warn",
  cancelled: "idle",
  finished: "ok",
};

type Ask = { run: Replacement; action: "start" | "cancel" };

/** Runs that get many certificates anew: planned, started, watched, paused. */
export function ReplacementsTab({ admin }: { admin: boolean }) {
  const query = useQuery(replacementsQuery());
  const steer = useSteerReplacement();
  const [planning, setPlanning] = useState(false);
  const [ask, setAsk] = useState<Ask | null>(null);
  const close = () => {
    setAsk(null);
    steer.reset();
  };
  const plan = (
    <Button
      leftSection={<Icon name="plus" size={14} />}
      disabled={!admin}
      title={admin ? undefined : t.replacements.adminsOnly}
      onClick={() => setPlanning(true)}
    >
      {t.replacements.plan}
    </Button>
  );
  const act = (run: Replacement, action: RunAction) => {
    // Going on and pausing can be taken back; starting and ending are asked about.
    if (action === "cancel" || (action === "start" && run.state === "planned")) setAsk({ run, action });
    else steer.mutate({ run, action });
  };
  return (
    <>
      <Panel
        title={t.replacements.title}
        window={<span className="hideSm">{t.replacements.window}</span>}
        flush
        actions={plan}
      >
        <PageState query={query} skeleton={<SkeletonRows rows={3} />}>
          {(runs) =>
            runs.length === 0 ? (
              <EmptyState icon="refresh" title={t.replacements.empty}>
                {t.replacements.text} {t.replacements.emptyText}
              </EmptyState>
            ) : (
              <DataTable
                label={t.replacements.title}
                columns={columnsFor(admin, act, steer.isPending ? steer.variables?.run.id : undefined)}
                rows={runs}
                rowKey={(r) => r.id}
              />
            )
          }
        </PageState>
      </Panel>
      <Modal opened={planning} onClose={() => setPlanning(false)} title={t.replacements.planTitle} size="lg">
        <PlanForm onDone={() => setPlanning(false)} />
      </Modal>
      <Modal
        opened={ask !== null}
        onClose={close}
        title={ask?.action === "start" ? t.replacements.startTitle : t.replacements.cancelTitle}
      >
        {ask && (
          <form
            className="stack"
            onSubmit={(event) => {
              event.preventDefault();
              steer.mutate(ask, { onSuccess: close });
            }}
          >
            <p>
              {ask.action === "start"
                ? t.replacements.startText(ask.run.total, t.replacements.perHour(ask.run.per_hour))
                : t.replacements.cancelText}
            </p>
            <FormEnd
              error={steer.error}
              pending={steer.isPending}
              onCancel={close}
              label={ask.action === "start" ? t.replacements.start : t.replacements.cancel}
              danger={ask.action === "cancel"}
            />
          </form>
        )}
      </Modal>
    </>
  );
}

/** Which certificates a run is for, in words. */
export function selectionText(s: Selector): string {
  const words = t.replacements;
  const parts = [
    s.authority && words.from(s.authority),
    s.issuer && words.signedBy(s.issuer),
    s.project && words.ofProject(s.project),
    s.serials?.length && words.serials(s.serials.length),
    s.issued_before && words.before(date(s.issued_before)),
    s.issued_after && words.after(date(s.issued_after)),
  ].filter(Boolean);
  return parts.length === 0 ? words.all : parts.join(", ");
}

function State({ run }: { run: Replacement }) {
  return <StatusBadge tone={tones[run.state] ?? "idle"}>{t.replacements.states[run.state] ?? run.state}</StatusBadge>;
}

function columnsFor(
  admin: boolean,
  onAct: (run: Replacement, action: RunAction) => void,
  busy: string | undefined,
): Column<Replacement>[] {
  const button = (run: Replacement, action: RunAction, label: string) => (
    <Button
      key={action}
      variant="default"
      size="compact-xs"
      disabled={!admin}
      loading={busy === run.id}
      aria-label={t.replacements.actionOf(label, selectionText(run.selector))}
      onClick={() => onAct(run, action)}
    >
      {label}
    </Button>
  );
  return [
    {
      id: "what",
      header: t.replacements.columns.what,
      cell: (r) => (
        <>
          <span style={{ fontWeight: 500 }}>{selectionText(r.selector)}</span>
          <div className="onlySm">
            <State run={r} />
          </div>
        </>
      ),
    },
    {
      id: "state",
      header: t.replacements.columns.state,
      hideBelow: "sm",
      cell: (r) => <State run={r} />,
    },
    {
      id: "progress",
      header: t.replacements.columns.progress,
      cell: (r) => (
        <span className={styles["budget"]}>
          <span className="row wrap tight tnum">
            {t.replacements.progress(r.done, r.total)}
            {r.failing > 0 && (
              <StatusBadge tone="bad" title={t.replacements.failed(r.failed.join(", "))}>
                {t.replacements.failing(r.failing)}
              </StatusBadge>
            )}
          </span>
          <Progress
            value={r.total === 0 ? 0 : (100 * r.done) / r.total}
            size="sm"
            aria-label={t.replacements.progressOf(selectionText(r.selector))}
          />
        </span>
      ),
    },
    {
      id: "pace",
      header: t.replacements.columns.pace,
      hideBelow: "md",
      cell: (r) => <span className="soft nowrap">{t.replacements.perHour(r.per_hour)}</span>,
    },
    {
      id: "expected",
      header: t.replacements.columns.expected,
      align: "right",
      hideBelow: "sm",
      cell: (r) =>
        r.finished_at ? (
          <TimeAgo at={r.finished_at} />
        ) : r.state === "running" ? (
          <TimeUntil at={r.expected_at} />
        ) : (
          <span className="dim">–</span>
        ),
    },
    {
      id: "actions",
      header: t.replacements.columns.actions,
      align: "right",
      cell: (r) => (
        <span className="row tight" style={{ justifyContent: "flex-end" }}>
          {r.state === "planned" && button(r, "start", t.replacements.start)}
          {r.state === "paused" && button(r, "start", t.replacements.resume)}
          {r.state === "running" && button(r, "pause", t.replacements.pause)}
          {["planned", "running", "paused"].includes(r.state) && button(r, "cancel", t.replacements.cancel)}
        </span>
      ),
    },
  ];
}
