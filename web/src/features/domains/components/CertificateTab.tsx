import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { ApiError, type Schemas } from "@/api/client";
import { may, type Scope } from "@/app/session";
import { certificateQuery, useRenew } from "@/features/certificates/queries";
import { edgesQuery } from "@/features/edges/queries";
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
import { RevokeButton, UploadButton } from "../certificate/Actions";
import { CertificateEventsPanel } from "../certificate/EventsPanel";
import { PreflightPanel } from "../certificate/PreflightPanel";
import { ScorePanel } from "../certificate/ScorePanel";
import { ServedPanel } from "../certificate/ServedPanel";
import { type Domain, useProvision } from "../queries";

type Certificate = Schemas["Certificate"];

export function CertificateTab({ scope, domain }: { scope: Scope; domain: Domain }) {
  const query = useQuery(certificateQuery(scope, domain.domain));
  const provision = useProvision(scope, domain.domain);
  const renew = useRenew(scope, domain.domain);
  const edges = useQuery(edgesQuery());
  const names = new Map((edges.data?.edges ?? []).map((e) => [e.id, e.name || e.region]));
  const none = query.error instanceof ApiError && query.error.code === "not_found";
  // A valid certificate is only replaced by asking for that; the rest is an attempt at the one that is missing.
  const ask = (label: string, by: typeof provision | typeof renew) => (
    <Button
      variant="default"
      loading={by.isPending}
      disabled={!may(scope, "developer")}
      onClick={() => by.mutate(undefined, { onSuccess: () => toast(t.certificate.requested) })}
    >
      {label}
    </Button>
  );
  const wrong = provision.error ?? renew.error;
  const failure = wrong && (
    <div style={{ padding: none ? 16 : 0 }}>
      <Notice tone="bad" alert>
        {wrong.message}
      </Notice>
    </div>
  );
  if (none) {
    return (
      <div className="stack">
        <Panel flush>
          <EmptyState
            icon="certificate"
            level={2}
            title={t.certificate.none}
            action={ask(t.certificate.issue, provision)}
          >
            {t.certificate.noneText}
          </EmptyState>
          {failure}
        </Panel>
        <PreflightPanel scope={scope} domain={domain.domain} />
      </div>
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
              <>
                {certificate.state === "failed" && ask(t.certificate.retry, provision)}
                {["valid", "expiring"].includes(certificate.state) && ask(t.certificate.renew, renew)}
                <UploadButton scope={scope} domain={domain.domain} />
                {certificate.fingerprint && !certificate.revoked_at && certificate.type !== "custom" && (
                  <RevokeButton scope={scope} domain={domain.domain} />
                )}
              </>
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
          {certificate.fingerprint && (
            <>
              <ScorePanel scope={scope} domain={domain.domain} />
              <ServedPanel served={certificate.served ?? []} names={names} />
            </>
          )}
          <PreflightPanel scope={scope} domain={domain.domain} />
          <CertificateEventsPanel events={certificate.events} />
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
  if (c.authority) rows.push([t.certificateActions.authority, c.authority]);
  if (c.type !== "custom") rows.push([t.certificateActions.challenge, c.challenge || t.certificateActions.byItself]);
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
          <TimeUntil at={c.renew_at} /> {c.renew_by && t.certificateActions.renewBy[c.renew_by]}
        </span>
      )}
    </span>,
  ]);
  if (c.revoked_at) {
    rows.push([
      t.certificateActions.revokedAt,
      <span key="revoked">
        <TimeAgo at={c.revoked_at} /> {c.revocation && <span className="dim">{c.revocation}</span>}
      </span>,
    ]);
  }
  if (c.next_attempt) rows.push([t.certificate.nextAttempt, <TimeUntil key="next" at={c.next_attempt} />]);
  if (c.failures) rows.push([t.certificate.failures, String(c.failures)]);
  if (c.key_type) rows.push([t.certificate.key, c.key_type]);
  if (c.serial) rows.push([t.certificate.serial, <CopyText key="serial" value={c.serial} />]);
  if (c.fingerprint) rows.push([t.certificate.fingerprint, <CopyText key="print" value={c.fingerprint} />]);
  rows.push([t.domain.changed, <TimeAgo key="changed" at={c.updated_at} />]);
  return rows;
}
