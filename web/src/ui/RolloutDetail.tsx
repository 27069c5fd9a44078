import type { Schemas } from "@/api/client";
import { useRollout } from "@/api/events";
import { t } from "@/lib/strings";
import { appliedOnly, Rollout, rolloutTone } from "./Rollout";
import { ScrollX } from "./ScrollX";
import { StatusBadge } from "./StatusBadge";
import styles from "./table.module.css";

type Edge = Pick<Schemas["Edge"], "id" | "name" | "region" | "revision">;
type EdgeState = {
  id: string;
  name: string;
  region: string;
  state: "pending" | "applied" | "verified" | "rejected";
  reason: string;
};

/**
 * The state of each edge. The API names those that wait or refuse (at most
 * twenty); the rest have it in force, and verified it when the counts say that
 * all of them did. When more wait than are named, who they are is not known,
 * and only the named ones are listed.
 */
export function edgeStates(rollout: Schemas["Rollout"], edges: Edge[]): EdgeState[] {
  const named = new Map((rollout.per_edge ?? []).map((e) => [e.edge, e]));
  const complete = named.size >= rollout.pending + rollout.rejected;
  const others = appliedOnly(rollout) === 0 ? "verified" : "applied";
  const known = new Map(edges.map((e) => [e.id, e]));
  const out: EdgeState[] = [...named.values()].map((e) => ({
    id: e.edge,
    name: e.name || known.get(e.edge)?.name || e.edge,
    region: e.region || known.get(e.edge)?.region || "",
    state: e.state === "rejected" ? "rejected" : "pending",
    reason: e.reason ?? "",
  }));
  if (!complete) return out;
  // An edge that joined later got everything at once; it is no part of this rollout's count.
  const rest = edges
    .filter((e) => !named.has(e.id))
    .sort((a, b) => a.revision - b.revision)
    .slice(0, rollout.edges - out.length);
  for (const e of rest) out.push({ id: e.id, name: e.name, region: e.region, state: others, reason: "" });
  return out.sort((a, b) => a.region.localeCompare(b.region) || a.name.localeCompare(b.name));
}

/** A revision's rollout with the state of each edge, as it goes on. */
export function RolloutDetail({ revision, edges }: { revision: Schemas["Revision"]; edges: Edge[] }) {
  const rollout = useRollout(revision.revision, revision.rollout);
  if (!rollout?.documents) return <p className="dim">{t.activity.noRollout}</p>;
  const states = edgeStates(rollout, edges);
  return (
    <div className="stack tight">
      <div className="row wrap">
        <Rollout rollout={rollout} />
        <span className="dim small">{t.rollout.explain}</span>
      </div>
      {states.length > 0 && (
        <ScrollX label={t.activity.perEdge}>
          <table className={styles["table"]} aria-label={t.activity.perEdge}>
            <thead>
              <tr>
                <th scope="col">{t.rollout.edge}</th>
                <th scope="col">{t.rollout.region}</th>
                <th scope="col">{t.rollout.state}</th>
              </tr>
            </thead>
            <tbody>
              {states.map((edge) => (
                <tr key={edge.id}>
                  <td className="nowrap">{edge.name}</td>
                  <td className="nowrap">{edge.region}</td>
                  <td>
                    <StatusBadge tone={rolloutTone[edge.state]}>{t.rollout.states[edge.state]}</StatusBadge>
                    {edge.reason && <span className="dim"> {edge.reason}</span>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </ScrollX>
      )}
    </div>
  );
}
