import { Button, Modal, Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { sentence } from "@/api/client";
import { may, type Scope } from "@/app/session";
import { date } from "@/lib/format";
import { readable } from "@/lib/idn";
import { t } from "@/lib/strings";
import { ChangeFlow } from "@/ui/ChangeFlow";
import { CopyText } from "@/ui/CommandLine";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { Fields, Panel } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import { StatusBadge, type Tone } from "@/ui/StatusBadge";
import { TimeAgo, TimeUntil } from "@/ui/Time";
import { toast } from "@/ui/UndoToast";
import { Applied } from "../components/Applied";
import styles from "../domains.module.css";
import type { Domain } from "../queries";
import {
  type Security,
  type SecurityWish,
  securityQuery,
  useRollover,
  useSetSecurity,
  type Zone,
} from "../zoneQueries";
import { readDS } from "./records";
import { WithZone } from "./WithZone";

/** How the zone is signed: state, the DS to hand over, keys, and what is under way. */
export function DNSSECTab({ scope, domain }: { scope: Scope; domain: Domain }) {
  return (
    <WithZone scope={scope} domain={domain.domain} icon="key" none={t.dnssec.none} noneText={t.dnssec.noneText}>
      {(zone) => <OfZone scope={scope} domain={domain.domain} zone={zone} />}
    </WithZone>
  );
}

function OfZone({ scope, domain, zone }: { scope: Scope; domain: string; zone: Zone }) {
  const query = useQuery(securityQuery(scope, domain));
  return (
    <PageState query={query} skeleton={<SkeletonRows rows={6} />}>
      {(security) => (
        <div className="stack">
          {security.rollover && <Underway rollover={security.rollover} />}
          <div className={styles["mainAside"]}>
            <div className="stack">
              {(security.signed || security.enabled) && <ForRegistrar security={security} />}
              {security.key_list.length > 0 && <Keys scope={scope} domain={domain} security={security} />}
              {!security.signed && !security.enabled && <Off />}
            </div>
            <State scope={scope} domain={domain} zone={zone} security={security} />
          </div>
        </div>
      )}
    </PageState>
  );
}

function Off() {
  return (
    <Panel flush>
      <EmptyState icon="key" level={2} title={t.dnssec.off}>
        {t.dnssec.offText}
      </EmptyState>
    </Panel>
  );
}

export function securityState(s: Security): { tone: Tone; label: string } {
  if (s.rollover?.kind === "disable" || (s.signed && !s.enabled)) return { tone: "info", label: t.dnssec.unsigning };
  if (!s.enabled) return { tone: "idle", label: t.dnssec.unsigned };
  if (!s.signed) return { tone: "info", label: t.dnssec.signing };
  if (s.secure) return { tone: "ok", label: t.dnssec.secure };
  return s.parent_ds.length > 0 ? { tone: "bad", label: t.dnssec.otherDS } : { tone: "warn", label: t.dnssec.insecure };
}

/** State and the wish, which goes edit, difference, apply. */
function State({ scope, domain, zone, security }: { scope: Scope; domain: string; zone: Zone; security: Security }) {
  const set = useSetSecurity(scope, domain, zone);
  const { tone, label } = securityState(security);
  return (
    <Panel title={t.dnssec.title} window={readable(zone.name)}>
      <div className="stack">
        <div className={`stack tight ${styles["wrapStatus"]}`}>
          <StatusBadge tone={tone}>{label}</StatusBadge>
          {security.message && !security.rollover && <p className="soft">{sentence(security.message)}</p>}
        </div>
        <ChangeFlow<SecurityWish>
          environment={scope.environment}
          plan={set.plan}
          apply={(wish, reason) => set.apply.mutateAsync({ wish, reason })}
          done={(revision, again) => <Applied scope={scope} revision={revision} onAgain={again} zoneOf={domain} />}
          form={({ review, planning, error, draft }) => (
            <WishForm
              scope={scope}
              security={security}
              draft={draft}
              planning={planning}
              error={error}
              onReview={review}
            />
          )}
        />
      </div>
    </Panel>
  );
}

const options = (labels: Record<string, string>, now: string) =>
  [...new Set([...Object.keys(labels), now])].map((value) => ({ value, label: labels[value] ?? value }));

function WishForm({
  scope,
  security: s,
  draft,
  planning,
  error,
  onReview,
}: {
  scope: Scope;
  security: Security;
  draft: SecurityWish | null;
  planning: boolean;
  error: Error | null;
  onReview: (wish: SecurityWish) => void;
}) {
  const [algorithm, setAlgorithm] = useState(draft?.algorithm ?? s.algorithm);
  const [keys, setKeys] = useState(draft?.keys ?? s.keys);
  const [denial, setDenial] = useState(draft?.denial ?? s.denial);
  const changed = algorithm !== s.algorithm || keys !== s.keys || denial !== s.denial;
  const allowed = may(scope, "developer");
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        onReview({ enabled: true, algorithm, keys, denial });
      }}
    >
      <Select
        label={t.dnssec.algorithm}
        description={t.dnssec.algorithmHint}
        data={options(t.dnssec.algorithms, s.algorithm)}
        value={algorithm}
        onChange={(value) => setAlgorithm(value ?? s.algorithm)}
      />
      <Select
        label={t.dnssec.keys}
        description={t.dnssec.keysHint}
        data={options(t.dnssec.keyKinds, s.keys)}
        value={keys}
        onChange={(value) => setKeys(value ?? s.keys)}
      />
      <Select
        label={t.dnssec.denial}
        description={t.dnssec.denialHint}
        data={options(t.dnssec.denials, s.denial)}
        value={denial}
        onChange={(value) => setDenial(value ?? s.denial)}
      />
      <Refused error={error} />
      <div className="row wrap">
        {(!s.enabled || changed) && (
          <Button type="submit" loading={planning} disabled={!allowed}>
            {s.enabled ? t.dnssec.review : t.dnssec.sign}
          </Button>
        )}
        {s.enabled && !changed && (
          <Button
            color="red"
            variant="outline"
            loading={planning}
            disabled={!allowed}
            onClick={() => onReview({ enabled: false })}
          >
            {t.dnssec.stop}
          </Button>
        )}
      </div>
      {s.enabled && s.parent_ds.length > 0 && <p className="dim small">{t.dnssec.stopText}</p>}
    </form>
  );
}

/** The DS, whole and in parts, and what the parent has of it. */
function ForRegistrar({ security: s }: { security: Security }) {
  const wanted = new Set(s.ds.map((ds) => sameDS(ds)));
  const known = new Set(s.key_list.flatMap((k) => k.ds.map(sameDS)));
  return (
    <Panel title={t.dnssec.dsTitle} flush>
      <div className="stack" style={{ padding: "12px 16px" }}>
        {s.ds.length === 0 ? (
          <p className="dim">{t.dnssec.dsNone}</p>
        ) : (
          <>
            <p className="soft">{t.dnssec.dsText}</p>
            {s.ds.map((ds) => (
              <DS key={ds} ds={ds} />
            ))}
          </>
        )}
      </div>
      <div className="stack tight" style={{ padding: "12px 16px", borderTop: "1px solid var(--ew-border)" }}>
        <h3 className={styles["subTitle"]}>{t.dnssec.parentTitle}</h3>
        {s.parent_ds.length === 0 ? (
          <p className="dim">{t.dnssec.parentNone}</p>
        ) : (
          s.parent_ds.map((ds) => {
            const fits = wanted.has(sameDS(ds)) || known.has(sameDS(ds));
            return (
              <div key={ds} className="row wrap">
                <span className="mono" style={{ overflowWrap: "anywhere" }}>
                  {ds}
                </span>
                <StatusBadge tone={fits ? "ok" : "bad"}>
                  {fits ? t.dnssec.parentMatch : t.dnssec.parentStale}
                </StatusBadge>
              </div>
            );
          })
        )}
      </div>
    </Panel>
  );
}

const sameDS = (ds: string) => ds.toUpperCase().replace(/\s+/g, " ").trim();

function DS({ ds }: { ds: string }) {
  const parts = readDS(ds);
  return (
    <Fields
      rows={[
        [t.dnssec.ds, <CopyText key="whole" value={ds} />],
        ...(parts
          ? ([
              [t.dnssec.dsParts.tag, <CopyText key="tag" value={parts.tag} />],
              [
                t.dnssec.dsParts.algorithm,
                <Numbered key="algorithm" value={parts.algorithm} name={t.dnssec.numbers[parts.algorithm]} />,
              ],
              [t.dnssec.dsParts.type, <Numbered key="type" value={parts.type} name={t.dnssec.digests[parts.type]} />],
              [t.dnssec.dsParts.digest, <CopyText key="digest" value={parts.digest} />],
            ] as [string, React.ReactNode][])
          : []),
      ]}
    />
  );
}

function Numbered({ value, name }: { value: string; name: string | undefined }) {
  return (
    <span className="row">
      <CopyText value={value} />
      {name && <span className="dim">{name}</span>}
    </span>
  );
}

type Key = Security["key_list"][number];

const keyColumns: Column<Key>[] = [
  { id: "role", header: t.dnssec.columns.role, cell: (k) => t.dnssec.roles[k.role] ?? k.role },
  { id: "tag", header: t.dnssec.columns.tag, align: "right", cell: (k) => <span className="mono">{k.tag}</span> },
  {
    id: "algorithm",
    header: t.dnssec.columns.algorithm,
    hideBelow: "sm",
    cell: (k) => t.dnssec.numbers[String(k.algorithm)] ?? k.algorithm,
  },
  {
    id: "state",
    header: t.dnssec.columns.state,
    cell: (k) => (
      <span className="row wrap" style={{ gap: "2px 12px" }}>
        {k.active && <StatusBadge tone="ok">{t.dnssec.keyStates.active}</StatusBadge>}
        {k.published && <StatusBadge tone="ok">{t.dnssec.keyStates.published}</StatusBadge>}
        {k.announced && <StatusBadge tone="ok">{t.dnssec.keyStates.announced}</StatusBadge>}
        {!k.active && !k.published && <StatusBadge tone="idle">{t.dnssec.keyStates.waiting}</StatusBadge>}
      </span>
    ),
  },
  {
    id: "created",
    header: t.dnssec.columns.created,
    align: "right",
    hideBelow: "sm",
    cell: (k) => <TimeAgo at={k.created_at} />,
  },
];

function Keys({ scope, domain, security }: { scope: Scope; domain: string; security: Security }) {
  const [rolling, setRolling] = useState<"ksk" | "zsk" | null>(null);
  const roll = useRollover(scope, domain);
  const split = security.keys === "ksk-zsk";
  const busy = security.rollover !== undefined || !security.enabled || !may(scope, "developer");
  return (
    <Panel
      title={t.dnssec.keyTitle}
      flush
      actions={
        <>
          {split && (
            <Button variant="default" disabled={busy} onClick={() => setRolling("zsk")}>
              {t.dnssec.rollZsk}
            </Button>
          )}
          <Button variant="default" disabled={busy} onClick={() => setRolling("ksk")}>
            {t.dnssec.roll}
          </Button>
        </>
      }
    >
      <DataTable label={t.dnssec.keyTitle} columns={keyColumns} rows={security.key_list} rowKey={(k) => k.id} />
      <Modal
        opened={rolling !== null}
        onClose={() => setRolling(null)}
        title={rolling === "zsk" ? t.dnssec.rollZsk : t.dnssec.roll}
      >
        <div className="stack">
          <p>{t.dnssec.rollText}</p>
          <Refused error={roll.error} />
          <div className="row" style={{ justifyContent: "flex-end" }}>
            <Button variant="default" onClick={() => setRolling(null)} disabled={roll.isPending}>
              {t.common.cancel}
            </Button>
            <Button
              data-autofocus
              loading={roll.isPending}
              onClick={() =>
                roll.mutate(rolling ?? "ksk", {
                  onSuccess: () => {
                    setRolling(null);
                    toast(t.dnssec.rolling);
                  },
                })
              }
            >
              {t.dnssec.start}
            </Button>
          </div>
        </div>
      </Modal>
    </Panel>
  );
}

/** A change of keys under way: which, at what step, what it waits for. */
function Underway({ rollover: r }: { rollover: NonNullable<Security["rollover"]> }) {
  return (
    <Panel title={t.dnssec.rollover}>
      <div className="stack tight">
        <StatusBadge tone="info">{t.dnssec.rolloverKinds[r.kind] ?? r.kind}</StatusBadge>
        <p className="soft">{sentence(r.waiting)}</p>
        <Fields
          rows={[
            [
              t.dnssec.step,
              <span key="step" className="mono">
                {r.step}
              </span>,
            ],
            [t.dnssec.since, <TimeAgo key="since" at={r.since} />],
            [
              t.dnssec.nextStep,
              <span key="next">
                {date(r.next)}{" "}
                <span className="dim">
                  <TimeUntil at={r.next} />
                </span>
              </span>,
            ],
          ]}
        />
      </div>
    </Panel>
  );
}
