import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { EmptyState } from "@/ui/EmptyState";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import type { Domain } from "../queries";
import { type Zone, zoneQuery } from "../zoneQueries";
import { FetchesPanel } from "./FetchesPanel";
import { InPanel } from "./InPanel";
import { KeysPanel } from "./KeysPanel";
import { OutPanel } from "./OutPanel";
import { transfersQuery, tsigKeysQuery } from "./transferQueries";

/** Who the zone is given to, who it is taken from, and the keys that this is proven with. */
export function TransfersTab({ scope, domain }: { scope: Scope; domain: Domain }) {
  const zone = useQuery(zoneQuery(scope, domain.domain));
  return (
    <PageState query={zone} skeleton={<SkeletonRows rows={6} />}>
      {(found) =>
        found === null ? (
          <Panel flush>
            <EmptyState
              icon="layers"
              level={2}
              title={t.zoneTransfers.none}
              action={
                <Button
                  variant="default"
                  renderRoot={(props) => (
                    <Link
                      {...props}
                      to="/domains/$domain"
                      params={{ domain: domain.domain }}
                      search={{ tab: "records" }}
                    />
                  )}
                >
                  {t.dnssec.toRecords}
                </Button>
              }
            >
              {t.zoneTransfers.noneText}
            </EmptyState>
          </Panel>
        ) : (
          <OfZone scope={scope} domain={domain.domain} zone={found} />
        )
      }
    </PageState>
  );
}

function OfZone({ scope, domain, zone }: { scope: Scope; domain: string; zone: Zone }) {
  const transfers = useQuery(transfersQuery(scope, domain));
  const keys = useQuery(tsigKeysQuery(scope));
  const of = { scope, domain, zone, keys: (keys.data ?? []).map((k) => k.name) };
  return (
    <div className="stack">
      <PageState query={transfers} skeleton={<SkeletonRows rows={6} />}>
        {(found) => (
          <>
            <OutPanel {...of} transfers={found} />
            <FetchesPanel transfers={found} />
            <InPanel {...of} transfers={found} />
          </>
        )}
      </PageState>
      <KeysPanel scope={scope} query={keys} zone={zone.name} />
    </div>
  );
}
