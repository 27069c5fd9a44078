import { ActionIcon, Menu } from "@mantine/core";
import { count, decimal, duration } from "@/lib/format";
import { edgeState } from "@/lib/status";
import { t } from "@/lib/strings";
import { type Column, DataTable, type Sort } from "@/ui/DataTable";
import { Icon } from "@/ui/icons";
import { StatusBadge } from "@/ui/StatusBadge";
import { TimeAgo, useNow } from "@/ui/Time";
import { countsOf, type Edge } from "../queries";

function Uptime({ since }: { since: string }) {
  const now = useNow();
  return <>{t.edges.uptime(duration(Math.max(0, (now.getTime() - Date.parse(since)) / 1000)))}</>;
}

/** All edges with what each does, and what can be done with it. */
export function EdgeList({
  edges,
  sort,
  onSort,
  onDrain,
  onRevoke,
  canManage,
  platformRole,
}: {
  edges: Edge[];
  sort: Sort;
  onSort: (sort: Sort) => void;
  onDrain: (edge: Edge, draining: boolean) => void;
  onRevoke: (edge: Edge) => void;
  canManage: boolean;
  platformRole: string | undefined;
}) {
  const columns: Column<Edge>[] = [
    {
      id: "edge",
      header: t.edges.columns.edge,
      sort: (e) => e.name,
      cell: (e) => (
        <span title={[e.http, e.https].filter(Boolean).join("\n") || undefined} style={{ fontWeight: 500 }}>
          {e.name}
        </span>
      ),
    },
    { id: "region", header: t.edges.columns.region, sort: (e) => e.region, cell: (e) => e.region },
    {
      id: "state",
      header: t.edges.columns.state,
      sort: (e) => ["offline", "draining", "online"].indexOf(e.state),
      cell: (e) => {
        const { tone, label } = edgeState(e.state);
        return (
          <span className="row">
            <StatusBadge tone={tone}>{label}</StatusBadge>
            {e.state !== "offline" && e.started_at && (
              <span className="dim small nowrap hideMd">
                <Uptime since={e.started_at} />
              </span>
            )}
          </span>
        );
      },
    },
    {
      id: "kind",
      header: t.edges.columns.kind,
      hideBelow: "md",
      sort: (e) => (e.simulated ? 1 : 0),
      cell: (e) => (
        <span className="soft" title={e.simulated ? t.edges.simulatedHint : t.edges.realHint}>
          {e.simulated ? t.edges.simulated : t.edges.real}
        </span>
      ),
    },
    {
      id: "sync",
      header: t.edges.columns.sync,
      hideBelow: "sm",
      sort: (e) => (e.in_sync ? 1 : 0),
      cell: (e) => (
        <StatusBadge tone={e.in_sync ? "ok" : e.state === "offline" ? "idle" : "info"}>
          {e.in_sync ? t.edges.synced : e.state === "offline" ? t.edges.unknownSync : t.edges.catching}
        </StatusBadge>
      ),
    },
    {
      id: "sites",
      header: t.edges.columns.sites,
      align: "right",
      hideBelow: "md",
      sort: (e) => e.sites ?? 0,
      cell: (e) => {
        const { sites } = countsOf(e, platformRole);
        return sites === null ? <span className="dim">–</span> : count(sites);
      },
    },
    {
      id: "rate",
      header: t.edges.columns.rate,
      align: "right",
      hideBelow: "sm",
      cell: (e) => {
        const { rate } = countsOf(e, platformRole);
        return (
          <span className={rate ? "nowrap" : "nowrap dim"} title={t.edges.rateWindow}>
            {rate === null ? "–" : t.domains.rate(decimal(rate))}
          </span>
        );
      },
    },
    {
      id: "heartbeat",
      header: t.edges.columns.heartbeat,
      align: "right",
      hideBelow: "sm",
      sort: (e) => e.last_heartbeat ?? "",
      cell: (e) => <TimeAgo at={e.last_heartbeat} />,
    },
    {
      id: "version",
      header: t.edges.columns.version,
      hideBelow: "lg",
      sort: (e) => e.version ?? "",
      cell: (e) => <span className="mono dim">{e.version || "–"}</span>,
    },
    {
      id: "actions",
      header: t.edges.columns.actions,
      align: "right",
      width: 84,
      cell: (e) => (
        <Menu position="bottom-end" width={180}>
          <Menu.Target>
            <ActionIcon size={26} aria-label={t.edges.more(e.name)} disabled={!canManage}>
              <Icon name="more" size={17} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item
              leftSection={<Icon name={e.draining ? "play" : "pause"} size={14} />}
              onClick={() => onDrain(e, !e.draining)}
            >
              {e.draining ? t.edges.undrain : t.edges.drain}
            </Menu.Item>
            <Menu.Divider />
            <Menu.Item color="red" leftSection={<Icon name="close" size={14} />} onClick={() => onRevoke(e)}>
              {t.edges.revoke}
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      ),
    },
  ];
  return (
    <DataTable
      label={t.edges.title}
      columns={columns}
      rows={edges}
      rowKey={(e) => e.id}
      sort={sort ?? "region"}
      onSort={onSort}
    />
  );
}
