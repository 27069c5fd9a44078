import { Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { edgesQuery } from "@/features/edges/queries";
import { t } from "@/lib/strings";
import styles from "../domains.module.css";

/** What a record may lead to, by the API's word for it. */
export type TargetChoice = { kind: string; id: string };

const kinds = ["edges", "region", "edge"];

/** The regions that have edges. One that a record names already stays, whether it has any or not. */
export function useRegions(named: string[] = []): string[] {
  const edges = useQuery(edgesQuery());
  const there = (edges.data?.edges ?? []).map((e) => e.region);
  return [...new Set([...there, ...named.filter((r) => r !== "")])].sort();
}

/** Picks all edges, those of a region, or one. */
export function TargetFields({
  value,
  onChange,
  error,
}: {
  value: TargetChoice;
  onChange: (value: TargetChoice) => void;
  error?: string | undefined;
}) {
  const edges = useQuery(edgesQuery());
  const regions = useRegions(value.kind === "region" ? [value.id] : []);
  const known = (edges.data?.edges ?? []).map((e) => ({
    value: e.id,
    label: t.recordForm.edge(e.name || e.id, e.region),
  }));
  const listed = known.some((e) => e.value === value.id) || value.id === "";
  const one = {
    region: { label: t.recordForm.pickRegion, data: regions.map((r) => ({ value: r, label: r })) },
    edge: {
      label: t.recordForm.pickEdge,
      data: listed ? known : [...known, { value: value.id, label: value.id }],
    },
  }[value.kind];
  return (
    <div className={styles["recordForm"]}>
      <Select
        label={t.recordForm.target}
        data={[...new Set([...kinds, value.kind])].map((kind) => ({
          value: kind,
          label: t.zone.targets[kind] ?? kind,
        }))}
        value={value.kind}
        onChange={(kind) => onChange({ kind: kind ?? "edges", id: "" })}
        allowDeselect={false}
        error={one ? undefined : error}
      />
      {one && (
        <Select
          label={one.label}
          data={one.data}
          value={value.id || null}
          onChange={(id) => onChange({ ...value, id: id ?? "" })}
          searchable
          nothingFoundMessage={t.recordForm.noEdges}
          error={error}
        />
      )}
    </div>
  );
}
