import { Link } from "@tanstack/react-router";
import type { Schemas } from "@/api/client";
import { t } from "@/lib/strings";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { ChangeText, LiveRollout } from "@/ui/RevisionCells";
import { TimeAgo } from "@/ui/Time";

type Revision = Schemas["Revision"];

/** The last few changes, each with how far it has come on the edges. */
export function ChangesTable({
  revisions,
  actorName,
}: {
  revisions: Revision[];
  actorName: (actor: string) => string;
}) {
  if (revisions.length === 0) {
    return (
      <EmptyState icon="activity" title={t.activity.empty}>
        {t.overview.noChanges}
      </EmptyState>
    );
  }
  const columns: Column<Revision>[] = [
    {
      id: "change",
      header: t.activity.columns.change,
      cell: (r) => (
        <Link to="/activity" search={{ rev: r.revision }} style={{ color: "inherit" }}>
          <ChangeText revision={r} />
        </Link>
      ),
    },
    { id: "rollout", header: t.activity.columns.rollout, width: 180, cell: (r) => <LiveRollout revision={r} /> },
    {
      id: "actor",
      header: t.activity.columns.actor,
      hideBelow: "sm",
      width: 180,
      cell: (r) => <span className="soft">{actorName(r.cause.actor)}</span>,
    },
    {
      id: "when",
      header: t.activity.columns.when,
      align: "right",
      hideBelow: "sm",
      width: 130,
      cell: (r) => <TimeAgo at={r.at} />,
    },
  ];
  return <DataTable label={t.overview.changes} columns={columns} rows={revisions} rowKey={(r) => String(r.revision)} />;
}
