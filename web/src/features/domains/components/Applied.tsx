import { useQuery } from "@tanstack/react-query";
import type { ComponentProps } from "react";
import { Applied as AppliedChange } from "@/app/Applied";
import { zoneQuery } from "../zoneQueries";

/** A change just made. Records reach the edges as their zone: with `zoneOf`, a domain in it, its rollout is shown. */
export function Applied({
  zoneOf,
  ...change
}: Omit<ComponentProps<typeof AppliedChange>, "rollout"> & { zoneOf?: string }) {
  const zone = useQuery({ ...zoneQuery(change.scope, zoneOf ?? ""), enabled: zoneOf !== undefined });
  return <AppliedChange {...change} rollout={zone.data?.rollout} />;
}
