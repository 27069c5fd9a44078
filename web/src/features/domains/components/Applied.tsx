import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { Scope } from "@/app/session";
import { type Revision, revisionQuery, useRevert } from "@/features/activity/queries";
import { edgesQuery } from "@/features/edges/queries";
import { t } from "@/lib/strings";
import { Icon } from "@/ui/icons";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { RolloutDetail } from "@/ui/RolloutDetail";
import { toast } from "@/ui/UndoToast";
import { zoneQuery } from "../zoneQueries";

/**
 * A change just made: its roll-out edge by edge, and the way back. Records reach
 * the edges as their zone: with `zoneOf`, a domain in it, its rollout is shown.
 */
export function Applied({
  scope,
  revision,
  onAgain,
  zoneOf,
}: {
  scope: Scope;
  revision: number;
  onAgain: () => void;
  zoneOf?: string;
}) {
  const query = useQuery(revisionQuery(scope, revision));
  const zone = useQuery({ ...zoneQuery(scope, zoneOf ?? ""), enabled: zoneOf !== undefined });
  const shown = (read: Revision): Revision =>
    zone.data && !read.rollout?.documents ? { ...read, rollout: { ...zone.data.rollout, documents: 1 } } : read;
  const edges = useQuery(edgesQuery());
  const revert = useRevert(scope);
  return (
    <div className="stack">
      <PageState query={query} skeleton={<SkeletonRows rows={2} />}>
        {(data) => <RolloutDetail revision={shown(data)} edges={edges.data?.edges ?? []} />}
      </PageState>
      <div className="row">
        <Button
          variant="default"
          leftSection={<Icon name="undo" size={14} />}
          loading={revert.isPending}
          disabled={revert.isSuccess}
          onClick={() =>
            revert.mutate(
              { revision, force: false, reason: "" },
              {
                onSuccess: (undone) => toast(t.activity.reverted(undone.revision)),
                onError: (error) => toast(error.message, "bad"),
              },
            )
          }
        >
          {t.activity.revert}
        </Button>
        <Button variant="default" onClick={onAgain}>
          {t.origin.again}
        </Button>
      </div>
    </div>
  );
}
