import { useQuery } from "@tanstack/react-query";
import { sentence } from "@/api/client";
import type { Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { PageState } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { StatusBadge, type Tone } from "@/ui/StatusBadge";
import { TimeAgo } from "@/ui/Time";
import type { Domain } from "../queries";
import { type DomainEvent, eventsQuery } from "../stateQueries";
import { zoneQuery } from "../zoneQueries";
import { Changes } from "./Changes";

const tones: Record<string, Tone> = { info: "ok", warning: "warn", critical: "bad" };

const columns: Column<DomainEvent>[] = [
  {
    id: "severity",
    header: t.history.columns.severity,
    width: 110,
    cell: (e) => (
      <StatusBadge tone={tones[e.severity] ?? "idle"}>{t.history.severities[e.severity] ?? e.severity}</StatusBadge>
    ),
  },
  {
    id: "event",
    header: t.history.columns.event,
    cell: (e) => (
      <>
        {sentence(e.message)} <span className="mono dim hideSm">{e.type}</span>
      </>
    ),
  },
  { id: "when", header: t.history.columns.when, align: "right", cell: (e) => <TimeAgo at={e.at} /> },
];

/** What happened to a domain, and what people and programs changed about it. */
export function HistoryTab({ scope, domain }: { scope: Scope; domain: Domain }) {
  const events = useQuery(eventsQuery(scope, domain.domain));
  const zone = useQuery({ ...zoneQuery(scope, domain.domain), enabled: domain.dns.mode === "managed" });
  return (
    <div className="stack">
      <Panel title={t.history.events} window={t.history.eventsWindow} flush>
        <PageState query={events}>
          {(list) =>
            list.length === 0 ? (
              <EmptyState icon="activity" title={t.history.eventsNone}>
                {t.history.eventsNoneText}
              </EmptyState>
            ) : (
              <DataTable label={t.history.events} columns={columns} rows={list} rowKey={(e) => String(e.number)} />
            )
          }
        </PageState>
      </Panel>
      <Changes scope={scope} title={t.history.changes} kind="domain" id={domain.id} limit={20} />
      {zone.data && (
        <Changes
          scope={scope}
          title={t.history.zoneChanges(zone.data.name)}
          kind="rrset"
          limit={50}
          only={(r) => r.entries.some((e) => e.kind === "rrset" && e.name.endsWith(`@${zone.data?.name}`))}
        />
      )}
    </div>
  );
}
