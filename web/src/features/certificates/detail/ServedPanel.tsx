import type { Schemas } from "@/api/client";
import { sentence } from "@/api/client";
import { t } from "@/lib/strings";
import { CopyText } from "@/ui/CommandLine";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { Panel } from "@/ui/Panel";
import { StatusBadge } from "@/ui/StatusBadge";
import { TimeAgo } from "@/ui/Time";

type Served = Schemas["ServedBy"];

const columns = (names: Map<string, string>): Column<Served>[] => [
  {
    id: "edge",
    header: t.served.columns.edge,
    sort: (s) => names.get(s.edge) ?? s.edge,
    cell: (s) => (
      <span className="nowrap">
        <span style={{ fontWeight: 500 }}>{names.get(s.edge) ?? s.edge}</span> <span className="dim">{s.region}</span>
      </span>
    ),
  },
  {
    id: "by",
    header: t.served.columns.by,
    hideBelow: "sm",
    cell: (s) => <span className="soft nowrap">{s.by === s.edge ? t.served.itself : (names.get(s.by) ?? s.by)}</span>,
  },
  {
    id: "state",
    header: t.served.columns.state,
    cell: (s) => (
      <span className="row wrap" style={{ gap: "0 10px" }}>
        <StatusBadge tone={s.problem ? "bad" : s.current ? "ok" : "warn"}>
          {s.current ? t.served.current : t.served.other}
        </StatusBadge>
        {s.problem ? (
          <span>{sentence(s.problem)}</span>
        ) : (
          s.chain && <span className="dim nowrap">{t.served.chains[s.chain] ?? s.chain}</span>
        )}
      </span>
    ),
  },
  {
    id: "fingerprint",
    header: t.served.columns.fingerprint,
    hideBelow: "md",
    cell: (s) =>
      s.fingerprint ? <CopyText value={s.fingerprint} shown={`${s.fingerprint.slice(0, 12)}…`} /> : <span>–</span>,
  },
  {
    id: "offers",
    header: t.served.columns.offers,
    hideBelow: "lg",
    cell: (s) => (
      <span className="soft" title={s.offers.map((o) => `${o.version} ${o.cipher} ${o.group ?? ""}`).join("\n")}>
        {[...new Set(s.offers.map((o) => t.served.version(o.version)))].join(", ") || "–"}
      </span>
    ),
  },
  {
    id: "staple",
    header: t.served.columns.staple,
    hideBelow: "lg",
    cell: (s) => <span className="soft nowrap">{s.stapled ? t.served.stapled : t.served.notStapled}</span>,
  },
  { id: "at", header: t.served.columns.at, align: "right", hideBelow: "sm", cell: (s) => <TimeAgo at={s.at} /> },
];

/** The certificate that each edge serves, as it and another edge see it. */
export function ServedPanel({ served, names }: { served: Served[]; names: Map<string, string> }) {
  return (
    <Panel title={t.served.title} window={<span className="hideSm">{t.served.window}</span>} flush>
      {served.length === 0 ? (
        <EmptyState icon="edges" title={t.served.none}>
          {t.served.noneText}
        </EmptyState>
      ) : (
        <DataTable
          label={t.served.title}
          columns={columns(names)}
          rows={served}
          rowKey={(s) => `${s.edge} ${s.by} ${s.name}`}
          sort="edge"
        />
      )}
    </Panel>
  );
}
