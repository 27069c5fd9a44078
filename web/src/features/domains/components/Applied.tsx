import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { Scope } from "@/app/session";
import { revisionQuery, useRevert } from "@/features/activity/queries";
import { edgesQuery } from "@/features/edges/queries";
import { t } from "@/lib/strings";
import { Icon } from "@/ui/icons";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { RolloutDetail } from "@/ui/RolloutDetail";
import { toast } from "@/ui/UndoToast";

/** A change just made: its roll-out edge by edge, and the way back. */
export function Applied({ scope, revision, onAgain }: { scope: Scope; revision: number; onAgain: () => void }) {
  const query = useQuery(revisionQuery(scope, revision));
  const edges = useQuery(edgesQuery());
  const revert = useRevert(scope);
  return (
    <div className="stack">
      <PageState query={query} skeleton={<SkeletonRows rows={2} />}>
        {(data) => <RolloutDetail revision={data} edges={edges.data?.edges ?? []} />}
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
