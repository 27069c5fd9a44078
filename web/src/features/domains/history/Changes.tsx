import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Schemas } from "@/api/client";
import { useActorNames } from "@/app/actors";
import type { Scope } from "@/app/session";
import { revisionsQuery } from "@/features/activity/queries";
import { t } from "@/lib/strings";
import { type Column, DataTable } from "@/ui/DataTable";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { ChangeText, LiveRollout } from "@/ui/RevisionCells";
import { TimeAgo } from "@/ui/Time";

type Revision = Schemas["Revision"];

/** The last changes of one resource, or of those of a kind that `only` picks, with their rollout; each leads to its difference and its revert. */
export function Changes({
  scope,
  title,
  kind,
  id,
  limit,
  only,
}: {
  scope: Scope;
  title: string;
  kind: string;
  id?: string;
  limit: number;
  only?: (revision: Revision) => boolean;
}) {
  const filter = { kind, ...(id ? { id } : {}) };
  const revisions = useInfiniteQuery(revisionsQuery(scope, filter, limit));
  const actorName = useActorNames(scope);
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
    { id: "rollout", header: t.activity.columns.rollout, hideBelow: "sm", cell: (r) => <LiveRollout revision={r} /> },
    {
      id: "actor",
      header: t.activity.columns.actor,
      hideBelow: "md",
      cell: (r) => <span className="soft">{actorName(r.cause.actor)}</span>,
    },
    { id: "when", header: t.activity.columns.when, align: "right", cell: (r) => <TimeAgo at={r.at} /> },
  ];
  return (
    <Panel
      title={title}
      flush
      actions={
        <Link to="/activity" search={filter}>
          {t.domain.allChanges}
        </Link>
      }
    >
      <PageState query={revisions} skeleton={<SkeletonRows rows={3} />}>
        {({ pages }) => (
          <DataTable
            label={title}
            columns={columns}
            rows={(pages[0]?.revisions ?? []).filter((r) => !only || only(r))}
            rowKey={(r) => String(r.revision)}
          />
        )}
      </PageState>
    </Panel>
  );
}
