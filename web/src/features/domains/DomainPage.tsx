import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type ReactNode, useCallback } from "react";
import { ApiError } from "@/api/client";
import { type DomainTab, domainTabs } from "@/app/router";
import { type Scope, useScope } from "@/app/session";
import { domainStatus } from "@/lib/status";
import { t } from "@/lib/strings";
import { EmptyState } from "@/ui/EmptyState";
import { Icon } from "@/ui/icons";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { PageHeader } from "@/ui/Panel";
import { StatusBadge } from "@/ui/StatusBadge";
import { UrlTabs } from "@/ui/UrlTabs";
import { CacheTab } from "./components/CacheTab";
import { CertificateTab } from "./components/CertificateTab";
import { OriginTab } from "./components/OriginTab";
import { OverviewTab } from "./components/OverviewTab";
import { SettingsTab } from "./components/SettingsTab";
import { Steps } from "./components/Steps";
import { HistoryTab } from "./history/HistoryTab";
import { type Domain, domainQuery, visitable } from "./queries";
import { ProofLost, SetupTab } from "./setup/SetupTab";
import { TransfersTab } from "./transfers/TransfersTab";
import { MonitoringTab } from "./watch/MonitoringTab";
import { DNSSECTab } from "./zone/DNSSECTab";
import { type OnView, RecordsTab, type RecordsView } from "./zone/RecordsTab";

const route = getRouteApi("/shell/domains/$domain");

export function DomainPage() {
  const scope = useScope();
  const { domain } = route.useParams();
  const query = useQuery(domainQuery(scope, domain));
  if (query.error instanceof ApiError && query.error.code === "not_found") {
    return (
      <EmptyState
        icon="globe"
        level={1}
        title={t.domains.notFound}
        action={
          <Button variant="default" renderRoot={(props) => <Link {...props} to="/domains" />}>
            {t.domains.all}
          </Button>
        }
      >
        {t.domains.notFoundText}
      </EmptyState>
    );
  }
  return (
    <>
      {!query.data && <PageHeader title={domain} />}
      <PageState query={query} skeleton={<SkeletonRows rows={8} />}>
        {(data) => <Detail scope={scope} domain={data} />}
      </PageState>
    </>
  );
}

/** Leaves out what is not set, so that addresses stay short. */
function set<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, v]) => v !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function Detail({ scope, domain }: { scope: Scope; domain: Domain }) {
  const { tab = "overview", range = "live", q, type, sort, record, import: importing } = route.useSearch();
  const navigate = route.useNavigate();
  const view: RecordsView = {
    ...(q && { q }),
    ...(type && { type }),
    ...(sort && { sort }),
    ...(record && { record }),
    ...(importing && { import: importing }),
  };
  const onView = useCallback<OnView>(
    (next) => void navigate({ search: (old) => set({ ...old, ...next }), replace: !("import" in next) }),
    [navigate],
  );
  const { tone, label } = domainStatus(domain.status);
  const panels: Record<DomainTab, () => ReactNode> = {
    overview: () => (
      <OverviewTab
        scope={scope}
        domain={domain}
        range={range}
        onRange={(next) => void navigate({ search: (old) => ({ ...old, range: next }), replace: true })}
      />
    ),
    dns: () => <SetupTab scope={scope} domain={domain} />,
    records: () => <RecordsTab scope={scope} domain={domain} view={view} onView={onView} />,
    dnssec: () => <DNSSECTab scope={scope} domain={domain} />,
    transfers: () => <TransfersTab scope={scope} domain={domain} />,
    watch: () => <MonitoringTab scope={scope} domain={domain} />,
    certificate: () => <CertificateTab scope={scope} domain={domain} />,
    origin: () => <OriginTab scope={scope} domain={domain} />,
    cache: () => <CacheTab scope={scope} domain={domain} />,
    history: () => <HistoryTab scope={scope} domain={domain} />,
    settings: () => <SettingsTab scope={scope} domain={domain} />,
  };
  return (
    <>
      <PageHeader
        title={domain.display || domain.domain}
        badge={
          <>
            <StatusBadge tone={tone} pill>
              {label}
            </StatusBadge>
            {domain.locked && (
              <span className="row tight dim">
                <Icon name="lock" size={14} />
                {t.domains.locked}
              </span>
            )}
          </>
        }
        actions={
          visitable(domain) && (
            <Button
              variant="default"
              component="a"
              href={domain.url}
              target="_blank"
              rel="noreferrer"
              aria-label={t.domains.open(domain.display || domain.domain)}
              rightSection={<Icon name="external" size={13} />}
            >
              {t.domain.visit}
            </Button>
          )
        }
      />
      <div className="stack tight">
        {tab !== "dns" && <ProofLost domain={domain} />}
        <Steps domain={domain} />
      </div>
      <div style={{ marginTop: 16 }}>
        <UrlTabs
          label={domain.display || domain.domain}
          value={tab}
          onChange={(next) => void navigate({ search: ({ range: kept }) => set({ tab: next, range: kept }) })}
          names={domainTabs}
          labels={t.domain.tabs}
        >
          {(name) => panels[name]()}
        </UrlTabs>
      </div>
    </>
  );
}
