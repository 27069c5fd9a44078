import { useRollout } from "@/api/events";
import { type Revision, summarize } from "@/lib/revisions";
import { t } from "@/lib/strings";
import { Rollout } from "./Rollout";

/** What a revision did, in a line, with its reason. */
export function ChangeText({ revision }: { revision: Revision }) {
  const { text, more, wire } = summarize(revision);
  return (
    <span style={{ overflowWrap: "anywhere" }} title={wire}>
      {text}
      {more > 0 && <span className="dim"> {t.activity.and(more)}</span>}
      {revision.cause.reason && <span className="dim"> · {revision.cause.reason}</span>}
    </span>
  );
}

/** A revision's roll-out, as it goes on. */
export function LiveRollout({ revision }: { revision: Revision }) {
  const rollout = useRollout(revision.revision, revision.rollout);
  if (!rollout?.documents) {
    return (
      <span className="dim" title={t.activity.noRollout}>
        –
      </span>
    );
  }
  return <Rollout rollout={rollout} />;
}
