import type { Schemas } from "@/api/client";
import { useRollout } from "@/api/events";
import { t } from "@/lib/strings";
import { Rollout, rolloutTone } from "./Rollout";
import { StatusBadge } from "./StatusBadge";
import styles from "./ui.module.css";

/** A revision's roll-out with the state of each edge, as it goes on. */
export function RolloutDetail({ revision }: { revision: Schemas["Revision"] }) {
  const rollout = useRollout(revision.revision, revision.rollout);
  // The stream's counts may come without the edges; those that were read are shown until they are read again.
  const edges = rollout?.per_edge ?? revision.rollout.per_edge ?? [];
  if (!rollout || (rollout.documents ?? revision.rollout.documents ?? 0) === 0) {
    return <p className="dim">{t.activity.noRollout}</p>;
  }
  return (
    <div className="stack tight">
      <div className="row wrap">
        <Rollout rollout={rollout} />
        <span className="dim small">{t.rollout.explain}</span>
      </div>
      {edges.length > 0 && (
        <div className={styles["scroll"]}>
          <table className={styles["table"]} aria-label={t.activity.perEdge}>
            <thead>
              <tr>
                <th scope="col">{t.rollout.edge}</th>
                <th scope="col">{t.rollout.region}</th>
                <th scope="col">{t.rollout.state}</th>
              </tr>
            </thead>
            <tbody>
              {edges.map((edge) => (
                <tr key={edge.edge}>
                  <td>{edge.name || edge.edge}</td>
                  <td>{edge.region}</td>
                  <td>
                    <StatusBadge tone={rolloutTone[edge.state as keyof typeof rolloutTone] ?? "idle"}>
                      {t.rollout.states[edge.state] ?? edge.state}
                    </StatusBadge>
                    {edge.reason && <span className="dim"> {edge.reason}</span>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
