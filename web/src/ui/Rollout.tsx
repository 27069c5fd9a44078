import { t } from "@/lib/strings";
import { StatusBadge, type Tone } from "./StatusBadge";
import styles from "./ui.module.css";

/** On how many edges a change has arrived. */
export type RolloutCounts = {
  edges: number;
  pending: number;
  verified: number;
  rejected: number;
};

export type RolloutState = "none" | "pending" | "applied" | "verified" | "rejected";

/** Edges that have it in force and have not (yet) proven it to themselves. */
export function appliedOnly(r: RolloutCounts): number {
  return Math.max(0, r.edges - r.pending - r.rejected - r.verified);
}

/** The one word for a rollout: the least advanced edge decides, and a refusal outweighs all. */
export function rolloutState(r: RolloutCounts | null | undefined): RolloutState {
  if (!r || r.edges === 0) return "none";
  if (r.rejected > 0) return "rejected";
  if (r.pending > 0) return "pending";
  return r.verified >= r.edges ? "verified" : "applied";
}

/** Applied is no transition for the reader: the control plane keeps who verified only for recent revisions. */
export const rolloutTone: Record<RolloutState, Tone> = {
  none: "idle",
  pending: "info",
  applied: "ok",
  verified: "ok",
  rejected: "bad",
};

/** A bar of edges verified, applied and refused, with the count in words. */
export function Rollout({ rollout }: { rollout: RolloutCounts | null | undefined }) {
  const state = rolloutState(rollout);
  if (state === "none" || !rollout) return <span className="dim nowrap">{t.rollout.none}</span>;
  const { verified, pending, rejected, edges } = rollout;
  const applied = appliedOnly(rollout);
  return (
    <span className={styles["rollout"]} title={t.rollout.title(verified, applied, pending, rejected)}>
      <span className={styles["bar"]} aria-hidden="true">
        <i className={styles["barVerified"]} style={{ flexGrow: verified }} />
        <i className={styles["barApplied"]} style={{ flexGrow: applied }} />
        <i className={styles["barRejected"]} style={{ flexGrow: rejected }} />
        <i style={{ flexGrow: pending }} />
      </span>
      <StatusBadge tone={rolloutTone[state]}>
        {t.rollout.words(state, { verified, applied, rejected, edges })}
      </StatusBadge>
    </span>
  );
}
