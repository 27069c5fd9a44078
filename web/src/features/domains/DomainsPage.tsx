import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { may, useScope } from "@/app/session";
import { t } from "@/lib/strings";
import { Icon } from "@/ui/icons";
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
