import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { may, type Scope, useScope } from "@/app/session";
import { leftovers, placementsQuery } from "@/features/dnsproviders/queries";
import { t } from "@/lib/strings";
import { Icon } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { PageHeader, Panel } from "@/ui/Panel";
import { DomainManager } from "./components/DomainManager";
import { IncomingTransfers } from "./handover/IncomingTransfers";
import { domainsQuery } from "./queries";

const route = getRouteApi("/shell/domains");

export function DomainsPage() {
  const scope = useScope();
  const { q, status, sort } = route.useSearch();
  const navigate = route.useNavigate();
  const query = useQuery(domainsQuery(scope));
  const canAdd = may(scope, "developer");
  const add = () => void navigate({ to: "/domains/add" });
  return (
    <>
      <PageHeader
        title={t.domains.title}
        description={t.domains.description}
        actions={
          <Button leftSection={<Icon name="plus" size={14} />} onClick={add} disabled={!canAdd}>
            {t.domains.add}
          </Button>
        }
      />
      <IncomingTransfers scope={scope} />
      <LeftBehind scope={scope} />
      <PageState
        query={query}
        skeleton={
          <Panel flush>
            <SkeletonRows rows={8} />
          </Panel>
        }
      >
        {({ domains }) => (
          <DomainManager
            domains={domains}
            filter={{ ...(q && { q }), ...(status && { status }), ...(sort && { sort }) }}
            onFilter={(filter) => void navigate({ search: filter, replace: true })}
            onAdd={add}
            canAdd={canAdd}
          />
        )}
      </PageState>
    </>
  );
}

/** That records of removed domains are still at their providers, where somebody looks who removed one. */
function LeftBehind({ scope }: { scope: Scope }) {
  const { data = [] } = useQuery(placementsQuery(scope));
  const left = new Set(leftovers(data).map((p) => p.domain));
  if (left.size === 0) return null;
  return (
    <div style={{ marginBottom: 16 }}>
      <Notice tone="warn" title={t.leftovers.notice(left.size)} action={<ToLeftovers />}>
        {t.leftovers.noticeText}
      </Notice>
    </div>
  );
}

function ToLeftovers() {
  return (
    <Button variant="default" renderRoot={(props) => <Link {...props} to="/settings" search={{ tab: "dns" }} />}>
      {t.leftovers.see}
    </Button>
  );
}
