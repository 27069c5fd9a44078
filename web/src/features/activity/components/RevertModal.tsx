import { Checkbox, Modal } from "@mantine/core";
import { useEffect, useState } from "react";
import { ApiError } from "@/api/client";
import type { Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { DiffReview } from "@/ui/DiffReview";
import { Notice } from "@/ui/Notice";
import { ErrorState, SkeletonRows } from "@/ui/PageState";
import { toast } from "@/ui/UndoToast";
import { usePlanRevert, useRevert } from "../queries";

/** Shows what taking back a revision would change, then does it. */
export function RevertModal({
  scope,
  revision,
  onClose,
}: {
  scope: Scope;
  revision: number | null;
  onClose: () => void;
}) {
  return (
    <Modal
      opened={revision !== null}
      onClose={onClose}
      title={revision === null ? "" : t.activity.revertTitle(revision)}
      size="xl"
    >
      {revision !== null && <Review key={revision} scope={scope} revision={revision} onClose={onClose} />}
    </Modal>
  );
}

function Review({ scope, revision, onClose }: { scope: Scope; revision: number; onClose: () => void }) {
  const plan = usePlanRevert(scope);
  const revert = useRevert(scope);
  const [force, setForce] = useState(false);
  const { mutate } = plan;
  useEffect(() => mutate({ revision, force }), [mutate, revision, force]);

  const conflict = plan.error instanceof ApiError && plan.error.code === "conflict";
  const forceBox = (
    <Checkbox
      size="xs"
      label={t.activity.revertForce}
      checked={force}
      onChange={(event) => setForce(event.currentTarget.checked)}
    />
  );
  return (
    <div className="stack">
      <p className="soft">{t.activity.revertText}</p>
      {conflict && (
        <>
          <Notice tone="warn" title={t.activity.revertConflict}>
            {plan.error?.message}
          </Notice>
          {forceBox}
        </>
      )}
      {plan.error && !conflict && <ErrorState error={plan.error} onRetry={() => mutate({ revision, force })} />}
      {plan.isPending && <SkeletonRows rows={3} label={t.activity.planning} />}
      {plan.data && (
        <>
          {force && forceBox}
          <DiffReview
            plan={plan.data}
            environment={scope.environment}
            applyLabel={t.activity.revert}
            applying={revert.isPending}
            error={revert.error}
            onBack={onClose}
            onApply={(reason) =>
              revert.mutate(
                { revision, force, reason },
                {
                  onSuccess: (undone) => {
                    onClose();
                    toast(undone.revision === 0 ? t.activity.revertedNothing : t.activity.reverted(undone.revision));
                  },
                },
              )
            }
          />
        </>
      )}
    </div>
  );
}
