import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { Schemas } from "@/api/client";
import { type Revision, revisionQuery, useRevert } from "@/features/activity/queries";
import { edgesQuery } from "@/features/edges/queries";
import { t } from "@/lib/strings";
import { Icon } from "@/ui/icons";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { RolloutDetail } from "@/ui/RolloutDetail";
import { toast } from "@/ui/UndoToast";
import type { Scope } from "./session";

/**
 * A change just made: its roll-out edge by edge, and the way back. What reaches
 * the edges as part of something else, as records do as their zone, has that
 * one's rollout shown.
 */
export function Applied({
  scope,
  revision,
  onAgain,
  rollout,
}: {
  scope: Scope;
  revision: number;
  onAgain: () => void;
  rollout?: Schemas["Rollout"] | undefined;
}) {
  const query = useQuery(revisionQuery(scope, revision));
  const shown = (read: Revision): Revision =>
    rollout && !read.rollout?.documents ? { ...read, rollout: { ...rollout, documents: 1 } } : read;
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
