import { ActionIcon, Button, SegmentedControl } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { date } from "@/lib/format";
import { domainStatus } from "@/lib/status";
import { t } from "@/lib/strings";
import { CommandLine } from "@/ui/CommandLine";
import { type Column, DataTable, type Sort } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { FilterInput } from "@/ui/FilterInput";
import { Icon } from "@/ui/icons";
import { LiveRate } from "@/ui/LiveRate";
import { NoResults } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { StatusBadge } from "@/ui/StatusBadge";
import { TimeAgo } from "@/ui/Time";
import styles from "../domains.module.css";
import { type Domain, visitable } from "../queries";
import { matches, recordsBy, statusGroup } from "../setup/steps";
import { CertificateCell } from "./CertificateCell";

export type DomainFilter = { q?: string; status?: string; sort?: string };

export function DomainName({ domain }: { domain: Domain }) {
  return (
    <Link
      to="/domains/$domain"
      params={{ domain: domain.domain }}
      className={`truncate ${styles["nameCell"]}`}
      title={domain.display || domain.domain}
    >
      {domain.display || domain.domain}
    </Link>
  );
}

/** Opens the site, where there is one. */
export function Visit({ domain }: { domain: Domain }) {
  if (!visitable(domain)) return null;
  return (
    <ActionIcon
      component="a"
      href={domain.url}
      target="_blank"
      rel="noreferrer"
      size={22}
      aria-label={t.domains.open(domain.display || domain.domain)}
    >
      <Icon name="external" size={13} />
    </ActionIcon>
  );
}

const columns: Column<Domain>[] = [
  {
    id: "domain",
    header: t.domains.columns.domain,
    sort: (d) => d.display || d.domain,
    cell: (d) => (
      <span className="row tight">
        <DomainName domain={d} />
        <Visit domain={d} />
        {d.locked && (
          <span role="img" aria-label={t.domains.locked} title={t.domains.locked} className="dim">
            <Icon name="lock" size={13} />
          </span>
        )}
      </span>
    ),
  },
  {
    id: "status",
    header: t.domains.columns.status,
    sort: (d) => ["error", "pending_verification", "issuing", "active"].indexOf(d.status),
    cell: (d) => {
      const { tone, label } = domainStatus(d.status);
      return (
        <>
          <StatusBadge tone={tone}>{label}</StatusBadge>
          {d.certificate.days_left !== undefined && (
            <div className="onlySm dim small">
              {t.domains.columns.certificate} {t.domains.daysShort(d.certificate.days_left)}
            </div>
          )}
        </>
      );
    },
  },
  {
    id: "certificate",
    header: t.domains.columns.certificate,
    hideBelow: "sm",
    sort: (d) => d.certificate.days_left ?? -1,
    cell: (d) => <CertificateCell certificate={d.certificate} />,
  },
  {
    id: "issuer",
    header: t.domains.columns.issuer,
    hideBelow: "lg",
    sort: (d) => d.certificate.issuer ?? "",
    cell: (d) => (
      <span
        className={d.certificate.issuer ? "truncate" : "dim"}
        style={{ display: "block", maxWidth: 140 }}
        title={d.certificate.issuer}
      >
        {d.certificate.issuer || "–"}
      </span>
    ),
  },
  {
    id: "dns",
    header: t.domains.columns.dns,
    hideBelow: "lg",
    sort: (d) => d.dns.mode,
    cell: (d) => (
      <span className="row tight nowrap">
        {recordsBy(d)}
        {(d.dns.managed?.ds.length ?? 0) > 0 && <span className="dim">{t.domains.signed}</span>}
      </span>
    ),
  },
  {
    id: "registered",
    header: t.domains.columns.expires,
    align: "right",
    hideBelow: "lg",
    sort: (d) => d.expires_at ?? "9999",
    cell: (d) =>
      d.expires_at ? <span title={d.registrar}>{date(d.expires_at)}</span> : <span className="dim">–</span>,
  },
  {
    id: "traffic",
    header: t.domains.columns.traffic,
    align: "right",
    hideBelow: "sm",
    cell: (d) => <LiveRate domain={d.id} />,
  },
  {
    id: "origin",
    header: t.domains.columns.origin,
    hideBelow: "md",
    sort: (d) => d.origin,
    cell: (d) => (
      <span className="row">
        <span className="mono truncate" style={{ maxWidth: 172 }} title={d.origin}>
          {d.origin || "–"}
        </span>
        {d.cdn !== d.domain && (
          <span className="dim truncate" style={{ maxWidth: 70 }} title={d.cdn}>
            {d.cdn}
          </span>
        )}
      </span>
    ),
  },
  {
    id: "changed",
    header: t.domains.columns.changed,
    align: "right",
    hideBelow: "md",
    sort: (d) => d.updated_at,
    cell: (d) => <TimeAgo at={d.updated_at} />,
  },
];

/** The domains of a project's environment: filter, sort, add. What is selected lives with the caller, in the URL. */
export function DomainManager({
  domains,
  filter,
  onFilter,
  onAdd,
  canAdd,
}: {
  domains: Domain[];
  filter: DomainFilter;
  onFilter: (filter: DomainFilter) => void;
  onAdd: () => void;
  canAdd: boolean;
}) {
  const group = filter.status ?? "all";
  const shown = useMemo(
    () => domains.filter((d) => (group === "all" || statusGroup(d) === group) && (!filter.q || matches(d, filter.q))),
    [domains, group, filter.q],
  );
  // Names below .localhost are registered nowhere: a column of dashes would push the others out of sight.
  const registered = domains.some((d) => d.expires_at);
  const known = useMemo(() => columns.filter((c) => registered || c.id !== "registered"), [registered]);
  const change = (next: { q?: string | undefined; status?: string | undefined; sort?: Sort }) => {
    const merged = { ...filter, ...next };
    onFilter(Object.fromEntries(Object.entries(merged).filter(([, v]) => v !== undefined)));
  };

  if (domains.length === 0) {
    return (
      <Panel flush>
        <EmptyState
          icon="globe"
          level={2}
          title={t.domains.empty}
          action={
            <Button leftSection={<Icon name="plus" size={14} />} onClick={onAdd} disabled={!canAdd}>
              {t.domains.add}
            </Button>
          }
        >
          {t.domains.emptyText}
        </EmptyState>
        <div style={{ maxWidth: 560, margin: "-20px auto 36px", padding: "0 16px" }} className="stack tight">
          <p className="dim small" style={{ textAlign: "center" }}>
            {t.domains.emptyOr}
          </p>
          <CommandLine command={t.domains.emptyCommand} label={t.copy.value(t.domains.emptyCommand)} />
        </div>
      </Panel>
    );
  }
  return (
    <Panel flush>
      <div className="row wrap" style={{ padding: "10px 12px" }}>
        <FilterInput value={filter.q} onChange={(q) => change({ q })} label={t.domains.filter} />
        <SegmentedControl
          aria-label={t.domains.statusLabel}
          value={group}
          onChange={(status) => change({ status: status === "all" ? undefined : status })}
          data={Object.entries(t.domains.statuses).map(([value, label]) => ({ value, label }))}
        />
        <span className="dim tnum" style={{ marginInlineStart: "auto", paddingInlineEnd: 4 }}>
          {t.table.shown(shown.length, domains.length)}
        </span>
      </div>
      {shown.length === 0 ? (
        <NoResults onClear={() => onFilter(filter.sort ? { sort: filter.sort } : {})} />
      ) : (
        <DataTable
          label={t.domains.title}
          columns={known}
          rows={shown}
          rowKey={(d) => d.id}
          sort={filter.sort ?? "domain"}
          onSort={(sort) => change({ sort })}
        />
      )}
    </Panel>
  );
}
