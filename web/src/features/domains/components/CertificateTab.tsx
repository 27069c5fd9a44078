import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { may, type Scope } from "@/app/session";
import { type CertificateDetail, certificateQuery, useProvision } from "@/features/certificates/queries";
import { date } from "@/lib/format";
import { certificateState } from "@/lib/status";
import { t } from "@/lib/strings";
import { CopyText } from "@/ui/CommandLine";
import { EmptyState } from "@/ui/EmptyState";
import { Notice } from "@/ui/Notice";
import { PageState } from "@/ui/PageState";
import { Fields, Panel } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import { StatusBadge } from "@/ui/StatusBadge";
import { Elapsed, TimeUntil } from "@/ui/Time";
import { toast } from "@/ui/UndoToast";
import type { Domain } from "../queries";

/** How the domain's certificate is doing, and the way to all there is about it. */
export function CertificateTab({ scope, domain }: { scope: Scope; domain: Domain }) {
  const query = useQuery(certificateQuery(scope, domain.domain));
  const provision = useProvision(scope, domain.domain);
  const issue = (label: string) => (
    <Button
      loading={provision.isPending}
      disabled={!may(scope, "developer")}
      onClick={() => provision.mutate(undefined, { onSuccess: () => toast(t.certificate.requested) })}
    >
      {label}
    </Button>
  );
  const open = (
    <Button
      variant="default"
      renderRoot={(props) => <Link {...props} to="/certificates/$domain" params={{ domain: domain.domain }} />}
    >
      {t.certificatePage.open}
    </Button>
  );
  const failure = <Refused error={provision.error} />;
  return (
    <PageState query={query}>
      {(detail) =>
        detail === null ? (
          <div className="stack">
            {failure}
            <Panel flush>
              <EmptyState
                icon="certificate"
                level={2}
                title={t.certificate.none}
                action={
                  <>
                    {issue(t.certificate.issue)}
                    {open}
                  </>
                }
              >
                {t.certificate.noneText}
              </EmptyState>
            </Panel>
          </div>
        ) : (
          <Panel
            title={t.certificate.title}
            actions={
              <>
                {detail.certificate.state === "failed" && issue(t.certificate.retry)}
                {open}
              </>
            }
          >
            <div className="stack">
              {failure}
              {detail.certificate.reason && (
                <Notice tone="bad" title={detail.certificate.reason}>
                  {detail.certificate.fix && `${t.certificate.fix} ${detail.certificate.fix}`}
                </Notice>
              )}
              <Fields rows={rowsOf(detail)} />
            </div>
          </Panel>
        )
      }
    </PageState>
  );
}

function rowsOf({ certificate: c }: CertificateDetail): [string, ReactNode][] {
  const { tone, label } = certificateState(c.state);
  const served = c.served ?? [];
  const edges = new Set(served.map((s) => s.edge));
  const wrong = new Set(served.filter((s) => !s.current).map((s) => s.edge));
  return [
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
    [t.certificate.issuer, c.issuer || "–"],
    [
      c.names.length > 0 ? t.certificate.names : t.certificate.domains,
      <span key="names" className="mono">
        {(c.names.length > 0 ? c.names : c.domains).join(", ")}
      </span>,
    ],
    [t.certificate.until, c.not_after ? date(c.not_after) : "–"],
    [
      t.certificate.renewal,
      <span key="renewal" className="row wrap">
        {c.auto_renew ? t.certificate.auto : t.certificate.manual}
        {c.renew_at && (
          <span className="dim">
            <TimeUntil at={c.renew_at} />
          </span>
        )}
      </span>,
    ],
    ...(c.next_attempt
      ? [[t.certificate.nextAttempt, <TimeUntil key="next" at={c.next_attempt} />] as [string, ReactNode]]
      : []),
    ...(edges.size > 0
      ? [[t.served.title, t.certificatePage.servedOn(edges.size - wrong.size, edges.size)] as [string, ReactNode]]
      : []),
    ...(c.fingerprint
      ? [[t.certificate.fingerprint, <CopyText key="print" value={c.fingerprint} />] as [string, ReactNode]]
      : []),
  ];
}
