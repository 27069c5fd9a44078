import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { sentence } from "@/api/client";
import type { Scope } from "@/app/session";
import { date } from "@/lib/format";
import { t } from "@/lib/strings";
import { CopyText } from "@/ui/CommandLine";
import { EmptyState } from "@/ui/EmptyState";
import { Notice } from "@/ui/Notice";
import { PageState } from "@/ui/PageState";
import { Fields, Panel } from "@/ui/Panel";
import { StatusBadge, type Tone } from "@/ui/StatusBadge";
import { TimeAgo, TimeUntil } from "@/ui/Time";
import { type Registry, registryQuery } from "../stateQueries";

/** When a registration needs somebody: the days on which the API tells of it first and last. */
export function expiryTone(days: number | undefined): Tone {
  if (days === undefined) return "idle";
  return days < 0 || days <= 7 ? "bad" : days <= 30 ? "warn" : "ok";
}

/** What the registry says: until when, at whom, how protected. */
export function RegistryPanel({ scope, domain }: { scope: Scope; domain: string }) {
  const query = useQuery(registryQuery(scope, domain));
  return (
    <Panel title={t.watch.registry}>
      <PageState query={query}>{(registry) => <Registration registry={registry} />}</PageState>
    </Panel>
  );
}

function Registration({ registry: r }: { registry: Registry }) {
  if (r.skipped) {
    return (
      <EmptyState icon="globe" title={t.watch.asked}>
        {sentence(r.skipped)}
      </EmptyState>
    );
  }
  if (!r.source && !r.unregistered && !r.error) {
    return (
      <EmptyState icon="globe" title={t.watch.registryNone}>
        {t.watch.registryNoneText}
      </EmptyState>
    );
  }
  return (
    <div className="stack">
      {r.error && (
        <Notice tone="warn" title={t.watch.failed}>
          {sentence(r.error)}
        </Notice>
      )}
      {r.unregistered && (
        <Notice tone="bad" title={t.watch.unregistered}>
          {t.watch.unregisteredText}
        </Notice>
      )}
      {r.days_left !== undefined && r.days_left <= 30 && (
        <Notice tone={expiryTone(r.days_left)} title={r.days_left < 0 ? t.watch.expired : t.watch.expiresSoon}>
          {t.domains.daysLeft(r.days_left)}
        </Notice>
      )}
      {r.transfer_protected === false && <Notice tone="warn">{t.watch.unprotected}</Notice>}
      <Fields rows={rowsOf(r)} />
    </div>
  );
}

function rowsOf(r: Registry): [string, ReactNode][] {
  const rows: [string, ReactNode][] = [];
  if (r.name) {
    rows.push([
      t.watch.name,
      <span key="name" className="mono">
        {r.name}
      </span>,
    ]);
  }
  if (r.registrar) {
    rows.push([
      t.watch.registrar,
      <span key="registrar">
        {r.registrar} {r.registrar_id && <span className="dim">{t.watch.registrarId(r.registrar_id)}</span>}
      </span>,
    ]);
  }
  if (r.expires_at) {
    rows.push([
      t.watch.expires,
      <span key="expires" className="row wrap">
        {date(r.expires_at)}
        {r.days_left !== undefined && (
          <StatusBadge tone={expiryTone(r.days_left)}>{t.domains.daysLeft(r.days_left)}</StatusBadge>
        )}
      </span>,
    ]);
  }
  if (r.source) {
    rows.push([
      t.watch.protection,
      <StatusBadge
        key="protection"
        tone={r.transfer_protected === undefined ? "idle" : r.transfer_protected ? "ok" : "warn"}
      >
        {r.transfer_protected === undefined
          ? t.watch.protectedUnknown
          : r.transfer_protected
            ? t.watch.protectedOn
            : t.watch.protectedOff}
      </StatusBadge>,
    ]);
    rows.push([t.watch.states, <Lines key="epp" values={r.epp} none={t.common.none} />]);
    rows.push([t.watch.nameServers, <Lines key="ns" values={r.name_servers} none={t.watch.noNameServers} />]);
    rows.push([t.watch.ds, <Lines key="ds" values={r.ds} none={r.signed ? t.common.yes : t.watch.unsigned} copy />]);
  }
  if (r.created_at) rows.push([t.watch.created, date(r.created_at)]);
  if (r.updated_at) rows.push([t.watch.updated, date(r.updated_at)]);
  if (r.source) {
    rows.push([
      t.watch.source,
      <span key="source">
        {t.watch.sources[r.source] ?? r.source} <span className="mono dim">{r.server}</span>
      </span>,
    ]);
  }
  rows.push([t.watch.checked, <TimeAgo key="checked" at={r.checked_at} />]);
  if (r.next_at) rows.push([t.watch.next, <TimeUntil key="next" at={r.next_at} />]);
  return rows;
}

function Lines({ values, none, copy = false }: { values: string[]; none: string; copy?: boolean }) {
  if (values.length === 0) return <span className="dim">{none}</span>;
  return values.map((value) =>
    copy ? (
      <CopyText key={value} value={value} />
    ) : (
      <div key={value} className="mono">
        {value}
      </div>
    ),
  );
}
