import { Button, Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import type { Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { FilterInput } from "@/ui/FilterInput";
import { Notice } from "@/ui/Notice";
import { NoResults, PageState, SkeletonRows } from "@/ui/PageState";
import { copiedRecordsQuery, type Zone } from "../zoneQueries";
import type { OnView, RecordsView } from "./RecordsTab";
import { type CopiedRecord, nameOrder } from "./records";

/** More than this a browser is not asked to hold: the file is there to be saved. */
const mostShown = 20_000;

/** The records of a secondary zone: to be read here, and changed where they come from. */
export function CopiedRecords({
  scope,
  domain,
  zone,
  primaries,
  view,
  onView,
}: {
  scope: Scope;
  domain: string;
  zone: Zone;
  primaries: string[];
  view: RecordsView;
  onView: OnView;
}) {
  const fits = zone.records <= mostShown;
  const query = useQuery({ ...copiedRecordsQuery(scope, domain, zone), enabled: fits });
  return (
    <>
      <div style={{ padding: "12px 12px 0" }}>
        <Notice
          tone="info"
          action={
            <Button
              variant="default"
              size="compact-sm"
              renderRoot={(props) => (
                <Link {...props} to="/domains/$domain" params={{ domain }} search={{ tab: "transfers" }} />
              )}
            >
              {t.zone.toTransfers}
            </Button>
          }
        >
          {t.zone.copied(primaries)}
        </Notice>
      </div>
      {fits ? (
        <PageState query={query} skeleton={<SkeletonRows rows={8} />}>
          {(records) =>
            records.length === 0 ? (
              <EmptyState icon="layers" title={t.zone.copiedEmpty}>
                {t.zone.copiedEmptyText}
              </EmptyState>
            ) : (
              <Table records={records} view={view} onView={onView} />
            )
          }
        </PageState>
      ) : (
        <EmptyState icon="layers" title={t.zone.copiedMany}>
          {t.zone.copiedManyText}
        </EmptyState>
      )}
    </>
  );
}

function Table({ records, view, onView }: { records: CopiedRecord[]; view: RecordsView; onView: OnView }) {
  const types = useMemo(() => [...new Set(records.map((r) => r.type))].sort(), [records]);
  const shown = useMemo(() => {
    const wanted = view.q?.trim().toLowerCase() ?? "";
    return records.filter(
      (r) =>
        (!view.type || r.type === view.type) &&
        [r.name, r.type, r.value].some((text) => text.toLowerCase().includes(wanted)),
    );
  }, [records, view.type, view.q]);
  return (
    <>
      <div className="row wrap" style={{ padding: "10px 12px" }}>
        <FilterInput value={view.q} onChange={(q) => onView({ q })} label={t.zone.filter} />
        <Select
          size="xs"
          w={130}
          aria-label={t.zone.type}
          data={[{ value: "", label: t.zone.allTypes }, ...types.map((value) => ({ value, label: value }))]}
          value={view.type ?? ""}
          onChange={(value) => onView({ type: value || undefined })}
        />
        <span className="dim tnum" style={{ marginInlineStart: "auto", paddingInlineEnd: 4 }}>
          {t.table.shown(shown.length, records.length)}
        </span>
      </div>
      {shown.length === 0 ? (
        <NoResults onClear={() => onView({ q: undefined, type: undefined })} />
      ) : (
        <DataTable
          label={t.domain.tabs.records}
          columns={columns}
          rows={shown}
          rowKey={(r) => r.id}
          sort={view.sort ?? "name"}
          onSort={(sort) => onView({ sort })}
        />
      )}
    </>
  );
}

const columns: Column<CopiedRecord>[] = [
  {
    id: "name",
    header: t.zone.columns.name,
    sort: (r) => nameOrder(r.name),
    cell: (r) => (
      <>
        <span className="mono" style={{ fontWeight: 500, overflowWrap: "anywhere" }}>
          {r.name}
        </span>
        <div className="onlySm mono dim">{r.type}</div>
      </>
    ),
  },
  {
    id: "type",
    header: t.zone.columns.type,
    width: 84,
    hideBelow: "sm",
    sort: (r) => r.type,
    cell: (r) => <span className="mono">{r.type}</span>,
  },
  {
    id: "value",
    header: t.zone.columns.values,
    cell: (r) => (
      <span className="truncate mono" style={{ display: "block", maxWidth: "min(60ch, 44vw)" }} title={r.value}>
        {r.value}
      </span>
    ),
  },
  {
    id: "ttl",
    header: t.zone.columns.ttl,
    align: "right",
    hideBelow: "sm",
    sort: (r) => r.ttl,
    cell: (r) => t.records.seconds(r.ttl),
  },
];
