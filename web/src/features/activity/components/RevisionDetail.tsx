import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { may, type Scope } from "@/app/session";
import { edgesQuery } from "@/features/edges/queries";
import { absolute } from "@/lib/format";
import { readable } from "@/lib/idn";
import { t } from "@/lib/strings";
import { CopyText } from "@/ui/CommandLine";
import { CopyButton } from "@/ui/CopyButton";
import { Diff } from "@/ui/Diff";
import { Icon } from "@/ui/icons";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { RolloutDetail } from "@/ui/RolloutDetail";
import styles from "../activity.module.css";
import { type Revision, revisionQuery } from "../queries";

/** One revision unfolded: what changed, where it has arrived, who asked and why. */
export function RevisionDetail({
  scope,
  revision,
  onRevert,
}: {
  scope: Scope;
  revision: Revision;
  onRevert: (revision: Revision) => void;
}) {
  const query = useQuery(revisionQuery(scope, revision.revision));
  const edges = useQuery(edgesQuery());
  return (
    <section className={styles["detail"]} aria-label={`${t.activity.columns.revision} ${revision.revision}`}>
      <div className={styles["facts"]}>
        <span>{absolute(revision.at)}</span>
        <span>{t.activity.via(revision.cause.via)}</span>
        {revision.cause.reason && (
          <span>
            {t.activity.reason}: <span className="soft">{revision.cause.reason}</span>
          </span>
        )}
        {revision.cause.request_id && (
          <span className="row tight">
            {t.activity.request} <CopyText value={revision.cause.request_id} />
          </span>
        )}
        <span className="row tight" style={{ marginInlineStart: "auto" }}>
          {revision.entries
            .filter((e) => e.kind === "domain" && e.op !== "delete")
            .slice(0, 1)
            .map((e) => (
              <Button
                key={e.id}
                variant="default"
                renderRoot={(props) => <Link {...props} to="/domains/$domain" params={{ domain: e.name }} />}
              >
                {readable(e.name)}
              </Button>
            ))}
          <Button
            variant="default"
            leftSection={<Icon name="undo" size={14} />}
            onClick={() => onRevert(revision)}
            disabled={!may(scope, "developer")}
          >
            {t.activity.revert}
          </Button>
          <CopyButton
            value={`${window.location.origin}/activity?${new URLSearchParams({ project: scope.project.name, environment: scope.environment, rev: String(revision.revision) })}`}
            label={t.activity.link}
            size={28}
          />
        </span>
      </div>
      <Diff changes={revision.entries.map((e) => ({ op: e.op, kind: e.kind, name: e.name, diff: e.diff }))} />
      <PageState query={query} skeleton={<SkeletonRows rows={2} />}>
        {(full) => (
          <div className="stack tight">
            <h2 className={styles["heading"]}>{t.rollout.live}</h2>
            <RolloutDetail revision={full} edges={edges.data?.edges ?? []} />
          </div>
        )}
      </PageState>
    </section>
  );
}
