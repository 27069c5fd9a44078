import { ActionIcon, Button, Checkbox, Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useCallback, useMemo, useState } from "react";
import { sentence } from "@/api/client";
import { may, type Scope } from "@/app/session";
import { count } from "@/lib/format";
import { readable } from "@/lib/idn";
import { t } from "@/lib/strings";
import { ChangeFlow } from "@/ui/ChangeFlow";
import { CopyText } from "@/ui/CommandLine";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { FilterInput } from "@/ui/FilterInput";
import { Icon } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import { NoResults, PageState, SkeletonRows } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import { Rollout } from "@/ui/Rollout";
import { StatusBadge } from "@/ui/StatusBadge";
import { Applied } from "../components/Applied";
import styles from "../domains.module.css";
import type { Domain } from "../queries";
import { type RecordSet, recordsQuery, useMakeZone, type Zone, zoneFileUrl, zoneQuery } from "../zoneQueries";
import { BulkEdit } from "./BulkEdit";
import { CopiedRecords } from "./CopiedRecords";
import { ImportPanel } from "./ImportPanel";
import { QueriesPanel } from "./QueriesPanel";
import { RecordDetail } from "./RecordDetail";
import { RecordEditor } from "./RecordForm";
import { answersOf, matchesRecord, nameOrder, providedFor, recordTitle } from "./records";
import { ZoneSettings } from "./ZoneSettings";

/** What of the tab lives in the URL. */
export type RecordsView = { q?: string; type?: string; sort?: string; record?: string; import?: true };
export type OnView = (next: { [K in keyof RecordsView]?: RecordsView[K] | undefined }) => void;

/** The zone that a domain lies in: state, records, zone file. */
export function RecordsTab({
  scope,
  domain,
  view,
  onView,
}: {
  scope: Scope;
  domain: Domain;
  view: RecordsView;
  onView: OnView;
}) {
  const query = useQuery(zoneQuery(scope, domain.domain));
  return (
    <PageState query={query} skeleton={<SkeletonRows rows={8} />}>
      {(zone) =>
        zone === null ? (
          <NoZone scope={scope} domain={domain} />
        ) : (
          <div className="stack">
            <ZoneState zone={zone} />
            {view.import && !zone.primaries ? (
              <ImportPanel
                scope={scope}
                domain={domain.domain}
                zone={zone}
                onClose={() => onView({ import: undefined })}
              />
            ) : (
              <Records scope={scope} domain={domain.domain} zone={zone} view={view} onView={onView} />
            )}
            <QueriesPanel scope={scope} domain={domain.domain} />
          </div>
        )
      }
    </PageState>
  );
}

function NoZone({ scope, domain }: { scope: Scope; domain: Domain }) {
  const make = useMakeZone(scope, domain.domain);
  return (
    <Panel flush>
      <ChangeFlow<true>
        environment={scope.environment}
        plan={() => make.plan()}
        apply={async (_draft, reason) => (await make.apply.mutateAsync(reason)).revision}
        done={(revision, again) => <Applied scope={scope} revision={revision} onAgain={again} />}
        form={({ review, planning, error }) => (
          <>
            <EmptyState
              icon="layers"
              level={2}
              title={t.zone.none}
              action={
                <>
                  {domain.verification.required && (
                    <Button
                      renderRoot={(props) => (
                        <Link
                          {...props}
                          to="/domains/$domain"
                          params={{ domain: domain.domain }}
                          search={{ tab: "dns" }}
                        />
                      )}
                    >
                      {t.zone.choose}
                    </Button>
                  )}
                  <Button
                    variant="default"
                    loading={planning}
                    disabled={!may(scope, "developer")}
                    onClick={() => review(true)}
                  >
                    {t.zone.make(domain.display || domain.domain)}
                  </Button>
                </>
              }
            >
              {t.zone.noneText}
            </EmptyState>
            {error && (
              <div style={{ padding: "0 16px 16px" }}>
                <Refused error={error} />
              </div>
            )}
          </>
        )}
      />
    </Panel>
  );
}

function ZoneState({ zone }: { zone: Zone }) {
  const delegated = zone.conditions.find((c) => c.type === "Delegated")?.status;
  const tone = delegated === "true" ? "ok" : delegated === "false" ? "warn" : "idle";
  const leads =
    delegated === "true" ? t.zone.delegatedYes : delegated === "false" ? t.zone.delegatedNo : t.zone.delegatedUnknown;
  return (
    <section className={styles["zoneState"]} aria-label={readable(zone.name)}>
      <dl className={styles["zoneFacts"]}>
        <Fact name={t.zone.delegated} value={<StatusBadge tone={tone}>{leads}</StatusBadge>} />
        <Fact
          name={t.zone.signed}
          value={
            <StatusBadge tone={zone.signed ? "ok" : "idle"}>
              {zone.signed ? t.zone.signedYes : t.zone.signedNo}
            </StatusBadge>
          }
        />
        <Fact name={t.zone.serial} value={<span className="tnum">{zone.serial || "–"}</span>} />
        <Fact
          name={t.zone.sets}
          value={
            <span className="tnum" title={zone.primaries ? undefined : t.zone.setsNote}>
              {count(zone.records)}
            </span>
          }
        />
        {!zone.primaries && (
          <Fact name={t.zone.ttl} value={<span title={t.zone.ttlNote}>{t.records.seconds(zone.ttl)}</span>} />
        )}
        <Fact name={t.domain.rollout} value={<Rollout rollout={zone.rollout} />} />
      </dl>
      {delegated !== "true" && zone.name_servers.length > 0 && (
        <div className={styles["zoneServers"]}>
          <span className="dim">{t.zone.nameServers}</span>
          {zone.name_servers.map((server) => (
            <CopyText key={server} value={server} />
          ))}
        </div>
      )}
      {zone.problems.length > 0 && (
        <Notice tone="warn" title={`${t.zone.problems}.`}>
          {zone.problems.map((problem) => (
            <div key={problem}>{sentence(problem)}</div>
          ))}
        </Notice>
      )}
    </section>
  );
}

function Fact({ name, value }: { name: string; value: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Records({
  scope,
  domain,
  zone,
  view,
  onView,
}: {
  scope: Scope;
  domain: string;
  zone: Zone;
  view: RecordsView;
  onView: OnView;
}) {
  const [adding, setAdding] = useState(false);
  const allowed = may(scope, "developer");
  const primaries = zone.primaries;
  return (
    <Panel
      title={t.zone.title(readable(zone.name))}
      id="zone-records"
      flush
      actions={
        <>
          <ZoneSettings scope={scope} domain={domain} zone={zone} />
          {!primaries && (
            <Button
              variant="default"
              leftSection={<Icon name="upload" size={14} />}
              disabled={!allowed}
              onClick={() => onView({ import: true, record: undefined })}
            >
              {t.zone.importFile}
            </Button>
          )}
          <Button
            variant="default"
            component="a"
            href={zoneFileUrl(scope, domain)}
            download={`${zone.name}.zone`}
            aria-label={t.zone.exportLabel(zone.name)}
            leftSection={<Icon name="download" size={14} />}
          >
            {t.zone.exportFile}
          </Button>
          {!primaries && (
            <Button leftSection={<Icon name="plus" size={14} />} disabled={!allowed} onClick={() => setAdding(true)}>
              {t.zone.add}
            </Button>
          )}
        </>
      }
    >
      {primaries ? (
        <CopiedRecords scope={scope} domain={domain} zone={zone} primaries={primaries} view={view} onView={onView} />
      ) : (
        <OwnRecords
          scope={scope}
          domain={domain}
          zone={zone}
          view={view}
          onView={onView}
          adding={adding}
          onAdded={() => setAdding(false)}
        />
      )}
    </Panel>
  );
}

function OwnRecords({
  scope,
  domain,
  zone,
  view,
  onView,
  adding,
  onAdded,
}: {
  scope: Scope;
  domain: string;
  zone: Zone;
  view: RecordsView;
  onView: OnView;
  adding: boolean;
  onAdded: () => void;
}) {
  const query = useQuery(recordsQuery(scope, domain));
  return (
    <>
      {adding && (
        <section className={styles["recordDetail"]} aria-label={t.recordForm.newTitle}>
          <h3 className={styles["subTitle"]}>{t.recordForm.newTitle}</h3>
          <RecordEditor scope={scope} domain={domain} zone={zone.name} onClose={onAdded}>
            <div>
              <Button variant="default" onClick={onAdded}>
                {t.common.done}
              </Button>
            </div>
          </RecordEditor>
        </section>
      )}
      <PageState query={query} skeleton={<SkeletonRows rows={8} />}>
        {(records) =>
          records.length === 0 ? (
            !adding && (
              <EmptyState icon="layers" title={t.zone.empty}>
                {t.zone.emptyText}
              </EmptyState>
            )
          ) : (
            <RecordTable scope={scope} domain={domain} records={records} view={view} onView={onView} />
          )
        }
      </PageState>
    </>
  );
}

function RecordTable({
  scope,
  domain,
  records,
  view,
  onView,
}: {
  scope: Scope;
  domain: string;
  records: RecordSet[];
  view: RecordsView;
  onView: OnView;
}) {
  const types = useMemo(() => [...new Set(records.map((r) => r.type))].sort(), [records]);
  const shown = useMemo(
    () => records.filter((r) => (!view.type || r.type === view.type) && (!view.q || matchesRecord(r, view.q))),
    [records, view.type, view.q],
  );
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const select = useCallback((ids: string[], on: boolean) => {
    setSelected((old) => {
      const next = new Set(old);
      for (const id of ids) on ? next.add(id) : next.delete(id);
      return next;
    });
  }, []);
  const allowed = may(scope, "developer");
  const columns = useMemo(
    () => [
      ...(allowed ? [selectColumn(selected, select)] : []),
      ...columnsFor(view.record, (id) => onView({ record: id })),
    ],
    [view.record, onView, allowed, selected, select],
  );
  const chosen = records.filter((r) => selected.has(r.id));
  const choosable = shown.filter(ownSet).map((r) => r.id);
  const all = choosable.length > 0 && choosable.every((id) => selected.has(id));
  return (
    <>
      {selected.size > 0 && (
        <BulkEdit scope={scope} domain={domain} records={chosen} onClear={() => setSelected(new Set())} />
      )}
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
        {allowed && choosable.length > 0 && (
          <Checkbox
            size="xs"
            label={t.bulk.selectAll(choosable.length)}
            checked={all}
            indeterminate={!all && choosable.some((id) => selected.has(id))}
            onChange={() => select(choosable, !all)}
          />
        )}
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
          {...(view.record && {
            unfolded: {
              key: view.record,
              detail: (r: RecordSet) => <RecordDetail scope={scope} domain={domain} record={r} />,
            },
          })}
        />
      )}
    </>
  );
}

/** Sets that a domain's set-up keeps as they are come back when they are changed: they cannot be selected. */
const ownSet = (record: RecordSet) => providedFor(record) === undefined;

function selectColumn(
  selected: ReadonlySet<string>,
  onSelect: (ids: string[], on: boolean) => void,
): Column<RecordSet> {
  return {
    id: "select",
    header: <span className="srOnly">{t.bulk.column}</span>,
    width: 34,
    cell: (r) =>
      ownSet(r) && (
        <Checkbox
          size="xs"
          aria-label={t.bulk.select(recordTitle(r))}
          checked={selected.has(r.id)}
          onChange={(event) => onSelect([r.id], event.currentTarget.checked)}
        />
      ),
  };
}

function columnsFor(open: string | undefined, onOpen: (id: string | undefined) => void): Column<RecordSet>[] {
  return [
    {
      id: "name",
      header: t.zone.columns.name,
      sort: (r) => nameOrder(r.name),
      cell: (r) => (
        <>
          <span className="mono" style={{ fontWeight: 500, overflowWrap: "anywhere" }} title={r.full_name}>
            {readable(r.name)}
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
    { id: "values", header: t.zone.columns.values, cell: (r) => <ValuesCell record={r} /> },
    {
      id: "ttl",
      header: t.zone.columns.ttl,
      align: "right",
      hideBelow: "sm",
      sort: (r) => r.ttl ?? 0,
      cell: (r) => (r.ttl ? t.records.seconds(r.ttl) : <span className="dim">{t.zone.defaultTtl}</span>),
    },
    {
      id: "notes",
      header: t.zone.columns.tags,
      hideBelow: "md",
      cell: (r) => {
        const provided = providedFor(r);
        const note = r.comment ?? (provided && t.zone.provided(provided));
        return (
          <span className="dim truncate" style={{ display: "block", maxWidth: 220 }} title={note}>
            {note}
          </span>
        );
      },
    },
    {
      id: "actions",
      header: t.zone.columns.actions,
      align: "right",
      width: 60,
      cell: (r) => {
        const isOpen = r.id === open;
        return (
          <ActionIcon
            size={24}
            aria-expanded={isOpen}
            aria-label={isOpen ? t.zone.shut(recordTitle(r)) : t.zone.open(recordTitle(r))}
            onClick={() => onOpen(isOpen ? undefined : r.id)}
          >
            <Icon name={isOpen ? "chevronDown" : "chevronRight"} size={15} />
          </ActionIcon>
        );
      },
    },
  ];
}

function ValuesCell({ record }: { record: RecordSet }) {
  const answers = answersOf(record);
  return (
    <span className="row">
      <span
        className={`truncate ${record.target ? "" : "mono"}`}
        style={{ maxWidth: "min(46ch, 34vw)" }}
        title={answers.join("\n")}
      >
        {answers[0] ?? "–"}
      </span>
      {answers.length > 1 && <span className="dim nowrap">{t.zone.more(answers.length - 1)}</span>}
      {record.steering && <span className="dim nowrap hideSm">{t.zone.steered}</span>}
    </span>
  );
}
