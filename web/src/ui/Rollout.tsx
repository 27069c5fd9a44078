import { t } from "@/lib/strings";
import { StatusBadge, type Tone } from "./StatusBadge";
import styles from "./ui.module.css";

/** On how many edges a change has arrived. */
export type RolloutCounts = {
  edges: number;
  pending?: number;
  applied?: number;
  verified?: number;
  rejected?: number;
};

export type RolloutState = "none" | "pending" | "applied" | "verified" | "rejected";

/** The one word for a roll-out: the least advanced edge decides, and a refusal outweighs all. */
export function rolloutState(r: RolloutCounts | null | undefined): RolloutState {
  if (!r || r.edges === 0) return "none";
  if ((r.rejected ?? 0) > 0) return "rejected";
  if ((r.verified ?? 0) >= r.edges) return "verified";
  if ((r.verified ?? 0) + (r.applied ?? 0) >= r.edges) return "applied";
  return "pending";
}

export const rolloutTone: Record<RolloutState, Tone> = {
  none: "idle",
  pending: "info",
  applied: "info",
  verified: "ok",
  rejected: "bad",
};

/** A bar of edges verified, applied and refused, with the count in words. */
export function Rollout({ rollout, bare = false }: { rollout: RolloutCounts | null | undefined; bare?: boolean }) {
  const state = rolloutState(rollout);
  if (state === "none" || !rollout) return <span className="dim nowrap">{t.rollout.none}</span>;
  const { verified = 0, applied = 0, rejected = 0, edges } = rollout;
  const rest = Math.max(0, edges - verified - applied - rejected);
  const words = t.rollout.words(state, verified, edges, rejected);
  return (
    <span className={styles["rollout"]} title={t.rollout.title(verified, applied, rest, rejected)}>
      <span className={styles["bar"]} aria-hidden="true">
        <i className={styles["barVerified"]} style={{ flexGrow: verified }} />
        <i className={styles["barApplied"]} style={{ flexGrow: applied }} />
        <i className={styles["barRejected"]} style={{ flexGrow: rejected }} />
        <i style={{ flexGrow: rest }} />
      </span>
      {bare ? <span className="tnum">{words}</span> : <StatusBadge tone={rolloutTone[state]}>{words}</StatusBadge>}
    </span>
  );
}
