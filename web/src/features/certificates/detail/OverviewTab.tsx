import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Scope } from "@/app/session";
import { date } from "@/lib/format";
import { certificateState } from "@/lib/status";
import { t } from "@/lib/strings";
import { CopyText } from "@/ui/CommandLine";
import { Notice } from "@/ui/Notice";
import { Fields, Panel } from "@/ui/Panel";
import { StatusBadge } from "@/ui/StatusBadge";
import { Elapsed, TimeAgo, TimeUntil } from "@/ui/Time";
import type { Certificate } from "../queries";
import { CertificateEventsPanel } from "./EventsPanel";
import { PreflightPanel } from "./PreflightPanel";
import { ScorePanel } from "./ScorePanel";

/** What a certificate is, how well it is served, and what happened to it. */
export function OverviewTab({ scope, certificate: c }: { scope: Scope; certificate: Certificate }) {
  return (
    <div className="stack">
      <Panel title={t.certificate.title}>
        <div className="stack">
          {c.type === "local" && (
            <Notice tone="info">
              {t.certificate.localHint}{" "}
              <Link to="/settings" search={{ tab: "trust" }}>
                {t.certificate.localLink}
              </Link>
            </Notice>
          )}
          <Fields rows={rowsOf(c)} />
        </div>
      </Panel>
      {c.fingerprint && <ScorePanel scope={scope} domain={c.domain} />}
      <PreflightPanel scope={scope} domain={c.domain} />
      <CertificateEventsPanel events={c.events} />
    </div>
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
