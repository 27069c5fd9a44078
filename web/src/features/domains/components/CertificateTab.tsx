import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { ApiError, type Schemas } from "@/api/client";
import { may, type Scope } from "@/app/session";
import { certificateQuery } from "@/features/certificates/queries";
import { date } from "@/lib/format";
import { certificateState } from "@/lib/status";
import { t } from "@/lib/strings";
import { CopyText } from "@/ui/CommandLine";
import { EmptyState } from "@/ui/EmptyState";
import { Notice } from "@/ui/Notice";
import { PageState } from "@/ui/PageState";
import { Fields, Panel } from "@/ui/Panel";
import { StatusBadge } from "@/ui/StatusBadge";
import { Elapsed, TimeAgo, TimeUntil } from "@/ui/Time";
import { toast } from "@/ui/UndoToast";
import { type Domain, useProvision } from "../queries";

type Certificate = Schemas["Certificate"];

export function CertificateTab({ scope, domain }: { scope: Scope; domain: Domain }) {
  const query = useQuery(certificateQuery(scope, domain.domain));
  const provision = useProvision(scope, domain.domain);
  const none = query.error instanceof ApiError && query.error.code === "not_found";
  const ask = (label: string) => (
    <Button
      variant="default"
      loading={provision.isPending}
      disabled={!may(scope, "developer")}
      onClick={() => provision.mutate(undefined, { onSuccess: () => toast(t.certificate.requested) })}
    >
      {label}
    </Button>
  );
  const failure = provision.error && (
    <div style={{ padding: none ? 16 : 0 }}>
      <Notice tone="bad" alert>
        {provision.error.message}
      </Notice>
    </div>
  );
  if (none) {
    return (
      <Panel flush>
        <EmptyState icon="certificate" level={2} title={t.certificate.none} action={ask(t.certificate.issue)}>
          {t.certificate.noneText}
        </EmptyState>
        {failure}
      </Panel>
    );
  }
  return (
    <PageState query={query}>
      {(certificate) => (
        <div className="stack">
          {failure}
          <Panel
            title={t.certificate.title}
            actions={
              certificate.state !== "issuing" &&
              ask(certificate.state === "failed" ? t.certificate.retry : t.certificate.renew)
            }
          >
            <div className="stack">
              {certificate.reason && (
                <Notice tone="bad" title={certificate.reason}>
                  {certificate.fix && `${t.certificate.fix} ${certificate.fix}`}
                </Notice>
              )}
              {certificate.type === "local" && (
                <Notice tone="info">
                  {t.certificate.localHint}{" "}
                  <Link to="/settings" search={{ tab: "trust" }}>
                    {t.certificate.localLink}
                  </Link>
                </Notice>
              )}
              <Fields rows={rowsOf(certificate)} />
            </div>
          </Panel>
        </div>
      )}
    </PageState>
  );
}

function rowsOf(c: Certificate): [string, ReactNode][] {
  const { tone, label } = certificateState(c.state);
  const rows: [string, ReactNode][] = [
    [
      t.certificate.state,
      <span key="state" className="row wrap">
        <StatusBadge tone={tone}>{label}</StatusBadge>
        {c.step && (
          <span className="dim">
            {t.certificate.since(t.steps.certificateSteps[c.step] ?? c.step)} <Elapsed since={c.started_at} />
          </span>
        )}
        {c.days_left !== undefined && <span className="dim">{t.domains.daysLeft(c.days_left)}</span>}
      </span>,
    ],
    [t.certificate.type, t.certificate.types[c.type] ?? c.type],
  ];
  if (c.issuer) rows.push([t.certificate.issuer, c.issuer]);
  rows.push([
    c.names.length > 0 ? t.certificate.names : t.certificate.domains,
    <span key="names" className="mono">
      {(c.names.length > 0 ? c.names : c.domains).join(", ")}
    </span>,
  ]);
  if (c.not_before) rows.push([t.certificate.from, date(c.not_before)]);
  if (c.not_after) rows.push([t.certificate.until, date(c.not_after)]);
  rows.push([
    t.certificate.renewal,
    <span key="renewal" className="row wrap">
      {c.auto_renew ? t.certificate.auto : t.certificate.manual}
      {c.renew_at && (
        <span className="dim">
          <TimeUntil at={c.renew_at} />
        </span>
      )}
    </span>,
  ]);
  if (c.next_attempt) rows.push([t.certificate.nextAttempt, <TimeUntil key="next" at={c.next_attempt} />]);
  if (c.failures) rows.push([t.certificate.failures, String(c.failures)]);
  if (c.key_type) rows.push([t.certificate.key, c.key_type]);
  if (c.serial) rows.push([t.certificate.serial, <CopyText key="serial" value={c.serial} />]);
  if (c.fingerprint) rows.push([t.certificate.fingerprint, <CopyText key="print" value={c.fingerprint} />]);
  rows.push([t.domain.changed, <TimeAgo key="changed" at={c.updated_at} />]);
  return rows;
}
