import { Link } from "@tanstack/react-router";
import { date } from "@/lib/format";
import { readable } from "@/lib/idn";
import { certificateState } from "@/lib/status";
import { t } from "@/lib/strings";
import { type Column, DataTable, type Sort } from "@/ui/DataTable";
import { StatusBadge } from "@/ui/StatusBadge";
import { Elapsed, TimeUntil } from "@/ui/Time";
import type { Certificate } from "../queries";

/** What happens next with a certificate, and when. */
function Next({ certificate: c }: { certificate: Certificate }) {
  if (c.state === "issuing") {
    return (
      <span className="nowrap">
        {t.steps.certificateSteps[c.step ?? ""] ?? t.certificates.working}{" "}
        <span className="dim">
          <Elapsed since={c.started_at} />
        </span>
      </span>
    );
  }
  if (c.next_attempt) {
    return (
      <span className="nowrap">
        {t.certificates.tries}{" "}
        <span className="dim">
          <TimeUntil at={c.next_attempt} />
        </span>
      </span>
    );
  }
  if (!c.auto_renew) return <span className="dim">{t.certificates.manual}</span>;
  return (
    <span className="nowrap">
      {t.certificates.renews}{" "}
      <span className="dim">
        <TimeUntil at={c.renew_at} />
      </span>
    </span>
  );
}

/** Days left; what is missing and fails stands before what expires, what is only missing after. */
export function urgency(c: Certificate): number {
  if (c.days_left !== undefined) return c.days_left;
  return c.state === "failed" ? Number.MIN_SAFE_INTEGER : Number.MAX_SAFE_INTEGER;
}

const columns: Column<Certificate>[] = [
  {
    id: "names",
    header: t.certificates.columns.names,
    sort: (c) => readable(c.domain),
    cell: (c) => {
      const names = c.names.length > 0 ? c.names : c.domains;
      return (
        <span className="row">
          <Link
            to="/certificates/$domain"
            params={{ domain: c.domain }}
            style={{ fontWeight: 500, overflowWrap: "anywhere" }}
            title={names[0] ?? c.domain}
          >
            {readable(names[0] ?? c.domain)}
          </Link>
          {names.length > 1 && (
            <span className="dim" title={names.slice(1).map(readable).join("\n")}>
              {t.certificates.more(names.length - 1)}
            </span>
          )}
        </span>
      );
    },
  },
  {
    id: "state",
    header: t.certificates.columns.state,
    sort: (c) => ["failed", "expired", "expiring", "issuing", "none", "valid"].indexOf(c.state),
    cell: (c) => {
      const { tone, label } = certificateState(c.state);
      return (
        <span title={[c.reason, c.fix].filter(Boolean).join("\n") || undefined}>
          <StatusBadge tone={tone}>{label}</StatusBadge>
        </span>
      );
    },
  },
  {
    id: "issuer",
    header: t.certificates.columns.issuer,
    hideBelow: "sm",
    sort: (c) => c.issuer ?? "",
    cell: (c) => c.issuer || <span className="dim">–</span>,
  },
  {
    id: "type",
    header: t.certificates.columns.type,
    hideBelow: "md",
    sort: (c) => c.type,
    cell: (c) => <span className="soft">{t.certificate.types[c.type] ?? c.type}</span>,
  },
  {
    id: "expires",
    header: t.certificates.columns.expires,
    align: "right",
    sort: urgency,
    cell: (c) =>
      c.not_after ? (
        <span className="nowrap" title={date(c.not_after)}>
          {t.domains.daysLeft(c.days_left ?? 0)}
        </span>
      ) : (
        <span className="dim">–</span>
      ),
  },
  {
    id: "next",
    header: t.certificates.columns.next,
    align: "right",
    hideBelow: "sm",
    cell: (c) => <Next certificate={c} />,
  },
];

/** All certificates, those that expire first on top, with what each is good for and what happens to it next. */
export function SSLCertificates({
  certificates,
  sort,
  onSort,
}: {
  certificates: Certificate[];
  sort: Sort;
  onSort: (sort: Sort) => void;
}) {
  return (
    <DataTable
      label={t.certificates.title}
      columns={columns}
      rows={certificates}
      rowKey={(c) => c.id}
      sort={sort ?? "expires"}
      onSort={onSort}
    />
  );
}
