import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { ApiError } from "@/api/client";
import { type CertificateTab, certificateTabs } from "@/app/router";
import { may, type Scope, useScope } from "@/app/session";
import { domainQuery } from "@/features/domains/queries";
import { edgesQuery } from "@/features/edges/queries";
import { readable } from "@/lib/idn";
import { certificateState } from "@/lib/status";
import { t } from "@/lib/strings";
import { EmptyState } from "@/ui/EmptyState";
import { Notice } from "@/ui/Notice";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { PageHeader, Panel } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import { StatusBadge } from "@/ui/StatusBadge";
import { toast } from "@/ui/UndoToast";
import { UrlTabs } from "@/ui/UrlTabs";
import { ChainTab } from "./detail/ChainTab";
import { ExportButton } from "./detail/ExportButton";
import { OverviewTab } from "./detail/OverviewTab";
import { PreflightPanel } from "./detail/PreflightPanel";
import { RevokeButton } from "./detail/RevokeButton";
import { ServedPanel } from "./detail/ServedPanel";
import { SettingsTab } from "./detail/SettingsTab";
import { OwnTab } from "./own/OwnTab";
import { type CertificateDetail, certificateQuery, useProvision, useRenew } from "./queries";

const route = getRouteApi("/shell/certificates/$domain");

/** One certificate from every side, or the way to the first one. */
export function CertificatePage() {
  const scope = useScope();
  const { domain } = route.useParams();
  const query = useQuery(certificateQuery(scope, domain));
  return (
    <>
      {!query.data && <PageHeader title={<DomainTitle domain={domain} />} />}
      <PageState query={query} skeleton={<SkeletonRows rows={8} />}>
        {(detail) =>
          detail === null ? (
            <None scope={scope} domain={domain} />
          ) : (
            <Detail scope={scope} domain={domain} detail={detail} />
          )
        }
      </PageState>
    </>
  );
}

/** The two ways to another certificate: for want of one, or before the present one is due. */
function useAsk(scope: Scope, domain: string) {
  const provision = useProvision(scope, domain);
  const renew = useRenew(scope, domain);
  const button = (label: string, by: typeof provision | typeof renew) => (
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
  return {
    issue: (label: string) => button(label, provision),
    renew: (label: string) => button(label, renew),
    failure: <Refused error={wrong} />,
  };
}

function DomainTitle({ domain }: { domain: string }) {
  return <span title={domain}>{readable(domain)}</span>;
}

/** No certificate: of a domain the way to its first, else what an address that leads nowhere gets. */
function None({ scope, domain }: { scope: Scope; domain: string }) {
  const ask = useAsk(scope, domain);
  const known = useQuery(domainQuery(scope, domain));
  if (known.isPending) return <SkeletonRows rows={8} />;
  if (known.error instanceof ApiError && known.error.code === "not_found") {
    return (
      <EmptyState
        icon="certificate"
        level={2}
        title={t.domains.notFound}
        action={
          <Button variant="default" renderRoot={(props) => <Link {...props} to="/certificates" />}>
            {t.certificatePage.all}
          </Button>
        }
      >
        {t.domains.notFoundText}
      </EmptyState>
    );
  }
  return (
    <div className="stack">
      {ask.failure}
      <Panel flush>
        <EmptyState icon="certificate" level={2} title={t.certificate.none} action={ask.issue(t.certificate.issue)}>
          {t.certificate.noneText}
        </EmptyState>
      </Panel>
      <PreflightPanel scope={scope} domain={domain} />
      <OwnTab scope={scope} domain={domain} takeover={false} />
    </div>
  );
}

function Detail({ scope, domain, detail }: { scope: Scope; domain: string; detail: CertificateDetail }) {
  const { tab = "overview" } = route.useSearch();
  const navigate = route.useNavigate();
  const { certificate: c } = detail;
  const ask = useAsk(scope, domain);
  const edges = useQuery(edgesQuery());
  const names = new Map((edges.data?.edges ?? []).map((e) => [e.id, e.name || e.region]));
  const { tone, label } = certificateState(c.state);
  const panels: Record<CertificateTab, () => ReactNode> = {
    overview: () => <OverviewTab scope={scope} certificate={c} />,
    chain: () => <ChainTab detail={detail} />,
    edges: () => <ServedPanel served={c.served ?? []} names={names} />,
    settings: () => <SettingsTab scope={scope} detail={detail} />,
    own: () => <OwnTab scope={scope} domain={domain} takeover={c.takeover ?? false} />,
  };
  return (
    <>
      <PageHeader
        title={<DomainTitle domain={c.domain} />}
        badge={
          <StatusBadge tone={tone} pill>
            {label}
          </StatusBadge>
        }
        actions={
          <>
            <Button
              variant="default"
              renderRoot={(props) => (
                <Link {...props} to="/domains/$domain" params={{ domain: c.domain }} search={{ tab: "certificate" }} />
              )}
            >
              {t.certificatePage.toDomain}
            </Button>
            {c.state === "failed" && ask.issue(t.certificate.retry)}
            {["valid", "expiring"].includes(c.state) && c.type !== "custom" && ask.renew(t.certificate.renew)}
            {c.fingerprint && <ExportButton scope={scope} domain={domain} />}
            {c.fingerprint && !c.revoked_at && c.type !== "custom" && <RevokeButton scope={scope} domain={domain} />}
          </>
        }
      />
      <div className="stack">
        {ask.failure}
        {c.reason && (
          <Notice tone="bad" title={c.reason}>
            {c.fix && `${t.certificate.fix} ${c.fix}`}
          </Notice>
        )}
        <UrlTabs
          label={readable(c.domain)}
          value={tab}
          onChange={(next) => void navigate({ search: { tab: next } })}
          names={certificateTabs}
          labels={t.certificatePage.tabs}
        >
          {(name) => panels[name]()}
        </UrlTabs>
      </div>
    </>
  );
}
