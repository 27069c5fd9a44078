import { Link } from "@tanstack/react-router";
import { useSession } from "@/app/session";
import { countsOf, type Edge } from "@/features/edges/queries";
import { decimal } from "@/lib/format";
import { edgeState } from "@/lib/status";
import { t } from "@/lib/strings";
import { type Column, DataTable } from "@/ui/DataTable";
import { StatusBadge } from "@/ui/StatusBadge";
import { TimeAgo } from "@/ui/Time";

const shown = 8;

const columnsFor = (platformRole: string | undefined): Column<Edge>[] => [
  {
    id: "edge",
    header: t.edges.columns.edge,
    cell: (e) => (
      <span className="row">
        <Link to="/edges" search={{ q: e.name }} style={{ fontWeight: 500 }} className="nowrap">
          {e.name}
        </Link>
        <span className="dim nowrap" title={e.simulated ? t.edges.simulatedHint : t.edges.realHint}>
          {e.region} · {(e.simulated ? t.edges.simulated : t.edges.real).toLowerCase()}
        </span>
      </span>
    ),
  },
  {
    id: "state",
    header: t.edges.columns.state,
    cell: (e) => {
      const { tone, label } = edgeState(e.state);
      return <StatusBadge tone={tone}>{label}</StatusBadge>;
    },
  },
  {
    id: "sync",
    header: t.edges.columns.sync,
    hideBelow: "lg",
    cell: (e) => (
      <StatusBadge tone={e.in_sync ? "ok" : e.state === "offline" ? "idle" : "info"}>
        {e.in_sync ? t.edges.synced : e.state === "offline" ? t.edges.unknownSync : t.edges.catching}
      </StatusBadge>
    ),
  },
  {
    id: "rate",
    header: t.edges.columns.rate,
    align: "right",
    cell: (e) => {
      const { rate } = countsOf(e, platformRole);
      return (
        <span className={rate ? "nowrap" : "nowrap dim"}>{rate === null ? "–" : t.domains.rate(decimal(rate))}</span>
      );
    },
  },
  {
    id: "heartbeat",
    header: t.edges.columns.heartbeat,
    align: "right",
    hideBelow: "sm",
    cell: (e) => <TimeAgo at={e.last_heartbeat} />,
  },
];

const trouble: Record<string, number> = { offline: 0, draining: 1 };

/** The edges at a glance: those in trouble first. */
export function EdgesTable({ edges }: { edges: Edge[] }) {
  const { principal } = useSession();
  const columns = columnsFor(principal.platform_role);
  const rows = [...edges]
    .sort((a, b) => (trouble[a.state] ?? 2) - (trouble[b.state] ?? 2) || a.name.localeCompare(b.name))
    .slice(0, shown);
  return <DataTable label={t.overview.edges} columns={columns} rows={rows} rowKey={(e) => e.id} />;
}
