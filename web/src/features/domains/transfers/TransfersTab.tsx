import { useQuery } from "@tanstack/react-query";
import type { Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { PageState, SkeletonRows } from "@/ui/PageState";
import type { Domain } from "../queries";
import { WithZone } from "../zone/WithZone";
import type { Zone } from "../zoneQueries";
import { FetchesPanel } from "./FetchesPanel";
import { InPanel } from "./InPanel";
import { KeysPanel } from "./KeysPanel";
import { OutPanel } from "./OutPanel";
import { transfersQuery, tsigKeysQuery } from "./transferQueries";

/** Who the zone is given to, who it is taken from, and the keys that this is proven with. */
export function TransfersTab({ scope, domain }: { scope: Scope; domain: Domain }) {
  return (
    <WithZone
      scope={scope}
      domain={domain.domain}
      icon="layers"
      none={t.zoneTransfers.none}
      noneText={t.zoneTransfers.noneText}
    >
      {(zone) => <OfZone scope={scope} domain={domain.domain} zone={zone} />}
    </WithZone>
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
