import { type Schemas, sentence } from "@/api/client";
import { t } from "@/lib/strings";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { Panel } from "@/ui/Panel";
import { StatusBadge, type Tone } from "@/ui/StatusBadge";
import { TimeAgo } from "@/ui/Time";

type Event = Schemas["CertificateEvent"];

const tones: Record<string, Tone> = {
  issued: "ok",
  recovered: "ok",
  failed: "bad",
  expiring: "warn",
  expired: "bad",
  revoked: "warn",
};

const columns: Column<Event>[] = [
  {
    id: "kind",
    header: t.certificateEvents.columns.kind,
    width: 130,
    cell: (e) => (
      <StatusBadge tone={tones[e.kind] ?? "idle"}>{t.certificateEvents.kinds[e.kind] ?? e.kind}</StatusBadge>
    ),
  },
  { id: "message", header: t.certificateEvents.columns.message, cell: (e) => sentence(e.message) },
  { id: "when", header: t.certificateEvents.columns.when, align: "right", cell: (e) => <TimeAgo at={e.at} /> },
];

export function CertificateEventsPanel({ events }: { events: Event[] }) {
  return (
    <Panel title={t.certificateEvents.title} id="certificate-events" flush>
      {events.length === 0 ? (
        <EmptyState icon="activity" title={t.certificateEvents.none}>
          {t.certificateEvents.noneText}
        </EmptyState>
      ) : (
        <DataTable
          label={t.certificateEvents.title}
          columns={columns}
          rows={events}
          rowKey={(e) => `${e.at} ${e.kind} ${e.message}`}
        />
      )}
    </Panel>
  );
}
