import { SegmentedControl } from "@mantine/core";
import { keepPreviousData, queryOptions, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { api, body } from "@/api/client";
import type { Scope } from "@/app/session";
import { type WindowName, windows } from "@/features/overview/queries";
import { count, decimal, duration } from "@/lib/format";
import { t } from "@/lib/strings";
import { PageState, SkeletonBlock } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { type Line, TimeSeries } from "@/ui/TimeSeries";
import styles from "../domains.module.css";
import { type Queries, queryRates } from "./queryRates";

const queriesQuery = (scope: Scope, domain: string, name: WindowName) =>
  queryOptions({
    queryKey: ["traffic", scope.project.id, scope.environment, name, domain, "dns"] as const,
    queryFn: ({ signal }) =>
      body(
        api.GET("/api/v1/infrastructure/domains/{domain}/dns/queries", {
          params: { path: { domain }, query: { ...scope.query, ...windows[name] } },
          signal,
        }),
      ),
    refetchInterval: 15_000, // rollups close once a minute
    placeholderData: keepPreviousData,
  });

const perSecond = (value: number) => t.domains.rate(decimal(value));

/** How often the zone was asked, and what became of it. */
export function QueriesPanel({ scope, domain }: { scope: Scope; domain: string }) {
  const [range, setRange] = useState<WindowName>("1h");
  const query = useQuery(queriesQuery(scope, domain, range));
  return (
    <Panel
      title={t.zoneQueries.title}
      window={`${t.overview.windows[range]}, ${t.overview.step(duration(windows[range].step))}`}
      actions={
        <SegmentedControl
          aria-label={t.zoneQueries.range}
          value={range}
          onChange={(next) => setRange(next as WindowName)}
          data={(Object.keys(windows) as WindowName[]).map((value) => ({ value, label: t.overview.ranges[value] }))}
        />
      }
    >
      <PageState query={query} skeleton={<SkeletonBlock height={200} />}>
        {(queries) => <Asked queries={queries} />}
      </PageState>
    </Panel>
  );
}

function Asked({ queries }: { queries: Queries }) {
  const rates = useMemo(() => queryRates(queries), [queries]);
  const lines = useMemo<Line[]>(
    () => [
      { label: t.zoneQueries.lines.queries, color: "--ew-chart-1", values: rates.queries, format: perSecond },
      { label: t.zoneQueries.lines.missing, color: "--ew-chart-2", values: rates.missing, format: perSecond },
      { label: t.zoneQueries.lines.refused, color: "--ew-chart-3", values: rates.refused, format: perSecond },
    ],
    [rates],
  );
  return (
    <div className="stack">
      <dl className={styles["zoneFacts"]}>
        {(Object.keys(t.zoneQueries.totals) as (keyof typeof t.zoneQueries.totals)[]).map((what) => (
          <div key={what}>
            <dt>{t.zoneQueries.totals[what]}</dt>
            <dd className="tnum">{count(queries.totals[what])}</dd>
          </div>
        ))}
      </dl>
      <TimeSeries title={t.zoneQueries.title} x={rates.x} lines={lines} height={160} />
    </div>
  );
}
