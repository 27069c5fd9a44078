import { Link } from "@tanstack/react-router";
import type { Schemas } from "@/api/client";
import { certificateState, domainStatus } from "@/lib/status";
import { t } from "@/lib/strings";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { LiveRate } from "@/ui/LiveRate";
import { StatusBadge } from "@/ui/StatusBadge";
import styles from "../overview.module.css";

type Domain = Schemas["Domain"];

const shown = 8;

const columns: Column<Domain>[] = [
  {
    id: "domain",
    header: t.domains.columns.domain,
    cell: (d) => (
      <Link
        to="/domains/$domain"
        params={{ domain: d.domain }}
        className={`truncate ${styles["siteName"]}`}
        title={d.display || d.domain}
      >
        {d.display || d.domain}
      </Link>
    ),
  },
  {
    id: "status",
    header: t.domains.columns.status,
    cell: (d) => {
      const { tone, label } = domainStatus(d.status);
      return <StatusBadge tone={tone}>{label}</StatusBadge>;
    },
  },
  {
    id: "certificate",
    header: t.domains.columns.certificate,
    hideBelow: "sm",
    cell: (d) => {
      const { tone, label } = certificateState(d.certificate.state);
      return (
        <span className="row">
          <StatusBadge tone={tone}>{label}</StatusBadge>
          {d.certificate.days_left !== undefined && (
            <span className="dim nowrap">{t.domains.daysShort(d.certificate.days_left)}</span>
          )}
        </span>
      );
    },
  },
  { id: "traffic", header: t.domains.columns.traffic, align: "right", cell: (d) => <LiveRate domain={d.id} /> },
];

const urgency: Record<string, number> = { error: 0, pending_verification: 1, issuing: 2 };

/** The sites at a glance: those that need somebody first. */
export function SitesTable({ domains }: { domains: Domain[] }) {
  if (domains.length === 0) {
    return (
      <EmptyState icon="globe" title={t.domains.empty}>
        {t.domains.emptyText}
      </EmptyState>
    );
  }
  const rows = [...domains]
    .sort((a, b) => (urgency[a.status] ?? 3) - (urgency[b.status] ?? 3) || a.domain.localeCompare(b.domain))
    .slice(0, shown);
  return <DataTable label={t.overview.sites} columns={columns} rows={rows} rowKey={(d) => d.id} />;
}
