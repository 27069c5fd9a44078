import { Button, Select } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { ApiError } from "@/api/client";
import { useActorNames } from "@/app/actors";
import { type Scope, useScope } from "@/app/session";
import { resourceName } from "@/lib/revisions";
import { t } from "@/lib/strings";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { Icon } from "@/ui/icons";
import { NoResults, PageState, SkeletonRows } from "@/ui/PageState";
import { PageHeader, Panel } from "@/ui/Panel";
import { ChangeText, LiveRollout } from "@/ui/RevisionCells";
import { TimeAgo } from "@/ui/Time";
import styles from "./activity.module.css";
import { RevertModal } from "./components/RevertModal";
import { RevisionDetail } from "./components/RevisionDetail";
import { type Revision, revisionQuery, revisionsQuery } from "./queries";

const route = getRouteApi("/shell/activity");

/** History: every accepted change, newest first, each to unfold and to take back. */
export function ActivityPage() {
  const scope = useScope();
  const { kind, id, rev } = route.useSearch();
  const navigate = route.useNavigate();
  const filter = { ...(kind && { kind }), ...(id && { id }) };
  const query = useInfiniteQuery(revisionsQuery(scope, filter));
  const revisions = useMemo(() => query.data?.pages.flatMap((p) => p.revisions) ?? [], [query.data]);
  const [reverting, setReverting] = useState<number | null>(null);
  const only = id ? revisions[0]?.entries.find((e) => e.id === id) : undefined;
  const filtered = kind !== undefined || id !== undefined;
  const show = (next: { kind?: string; id?: string; rev?: number }) => void navigate({ search: next, replace: true });

  return (
    <>
      <PageHeader title={t.activity.title} description={t.activity.description} />
      {rev !== undefined && query.isSuccess && !revisions.some((r) => r.revision === rev) && (
        <Linked scope={scope} revision={rev} onRevert={(r) => setReverting(r.revision)} onLeave={() => show(filter)} />
      )}
      <Panel flush>
        <div className="row wrap" style={{ padding: "10px 12px" }}>
          <Select
            size="xs"
            w={170}
            aria-label={t.activity.kind}
            value={kind ?? "all"}
            onChange={(next) => show(next && next !== "all" ? { kind: next } : {})}
            data={Object.entries(t.activity.kinds).map(([value, label]) => ({ value, label }))}
          />
          {id && (
            <Button
              variant="default"
              rightSection={<Icon name="close" size={12} />}
              onClick={() => show(kind ? { kind } : {})}
              aria-label={t.activity.showAll}
            >
              {t.activity.only}: {only ? resourceName(only.kind, only.name).text : id}
            </Button>
          )}
        </div>
        <PageState query={query} skeleton={<SkeletonRows rows={8} />}>
          {() =>
            revisions.length === 0 ? (
              filtered ? (
                <NoResults onClear={() => show({})} />
              ) : (
                <EmptyState icon="activity" level={2} title={t.activity.empty}>
                  {t.activity.emptyText}
                </EmptyState>
              )
            ) : (
              <Revisions
                scope={scope}
                revisions={revisions}
                open={rev}
                onOpen={(next) => show({ ...filter, ...(next !== undefined && { rev: next }) })}
                onRevert={(r) => setReverting(r.revision)}
              />
            )
          }
        </PageState>
        {query.hasNextPage && (
          <div style={{ padding: 12, textAlign: "center" }}>
            <Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
              {t.activity.older}
            </Button>
          </div>
        )}
      </Panel>
      <RevertModal scope={scope} revision={reverting} onClose={() => setReverting(null)} />
    </>
  );
}

/** A revision that a link names and that is older than what is listed. */
function Linked({
  scope,
  revision,
  onRevert,
  onLeave,
}: {
  scope: Scope;
  revision: number;
  onRevert: (r: Revision) => void;
  onLeave: () => void;
}) {
  const query = useQuery(revisionQuery(scope, revision));
  const gone = query.error instanceof ApiError && query.error.code === "not_found";
  return (
    <div style={{ marginBottom: 16 }}>
      <Panel title={`${t.activity.columns.revision} ${revision}`} flush>
        {gone ? (
          <EmptyState
            icon="activity"
            title={t.activity.notFound}
            action={
              <Button variant="default" onClick={onLeave}>
                {t.common.close}
              </Button>
            }
          >
            {t.activity.notFoundText}
          </EmptyState>
        ) : (
          <PageState query={query} skeleton={<SkeletonRows rows={2} />}>
            {(data) => <RevisionDetail scope={scope} revision={data} onRevert={onRevert} />}
          </PageState>
        )}
      </Panel>
    </div>
  );
}

function Revisions({
  scope,
  revisions,
  open,
  onOpen,
  onRevert,
}: {
  scope: Scope;
  revisions: Revision[];
  open: number | undefined;
  onOpen: (revision: number | undefined) => void;
  onRevert: (revision: Revision) => void;
}) {
  const actorName = useActorNames(scope);
  const columns: Column<Revision>[] = [
    {
      id: "change",
      header: t.activity.columns.change,
      cell: (r) => {
        const opened = r.revision === open;
        return (
          <button
            type="button"
            className={styles["toggle"]}
            aria-expanded={opened}
            onClick={() => onOpen(opened ? undefined : r.revision)}
          >
            <Icon name="chevronRight" size={14} />
            <ChangeText revision={r} />
          </button>
        );
      },
    },
    {
      id: "rollout",
      header: t.activity.columns.rollout,
      width: 190,
      hideBelow: "sm",
      cell: (r) => <LiveRollout revision={r} />,
    },
    {
      id: "actor",
      header: t.activity.columns.actor,
      width: 200,
      hideBelow: "md",
      cell: (r) => (
        <span>
          {actorName(r.cause.actor)} <span className="dim">· {t.activity.via(r.cause.via)}</span>
        </span>
      ),
    },
    { id: "when", header: t.activity.columns.when, align: "right", width: 110, cell: (r) => <TimeAgo at={r.at} /> },
    {
      id: "revision",
      header: t.activity.columns.revision,
      align: "right",
      width: 80,
      hideBelow: "sm",
      cell: (r) => <span className="dim">{r.revision}</span>,
    },
  ];
  return (
    <DataTable
      label={t.activity.title}
      columns={columns}
      rows={revisions}
      rowKey={(r) => String(r.revision)}
      expanded={(r) => (r.revision === open ? <RevisionDetail scope={scope} revision={r} onRevert={onRevert} /> : null)}
    />
  );
}
