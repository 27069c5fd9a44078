import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { type Schemas, sentence } from "@/api/client";
import { useLive } from "@/api/events";
import type { Range } from "@/app/router";
import type { Scope } from "@/app/session";
import { trafficQuery, windows } from "@/features/overview/queries";
import { date, duration } from "@/lib/format";
import { t } from "@/lib/strings";
import { liveRates, liveWindow, windowRates } from "@/lib/traffic";
import { CopyText } from "@/ui/CommandLine";
import { type Column, DataTable } from "@/ui/DataTable";
import { Fields, Panel } from "@/ui/Panel";
import { Rollout } from "@/ui/Rollout";
import { StatusBadge } from "@/ui/StatusBadge";
import { TimeAgo } from "@/ui/Time";
import { RangeSwitch, TrafficChart } from "@/ui/TrafficChart";
import styles from "../domains.module.css";
import { Changes } from "../history/Changes";
import { type Domain, visitable } from "../queries";
import { conditionShown, recordsBy } from "../setup/steps";

type Condition = Schemas["Condition"];

export function OverviewTab({
  scope,
  domain,
  range,
  onRange,
}: {
  scope: Scope;
  domain: Domain;
  range: Range;
  onRange: (range: Range) => void;
}) {
  return (
    <div className="stack">
      <TrafficPanel scope={scope} domain={domain} range={range} onRange={onRange} />
      <div className={styles["mainAside"]}>
        <div className="stack">
          <Conditions domain={domain} />
          <Changes scope={scope} title={t.domain.lastChanges} kind="domain" id={domain.id} limit={5} />
        </div>
        <Summary domain={domain} />
      </div>
    </div>
  );
}

function TrafficPanel({
  scope,
  domain,
  range,
  onRange,
}: {
  scope: Scope;
  domain: Domain;
  range: Range;
  onRange: (range: Range) => void;
}) {
  const live = useLive();
  const traffic = useQuery({
    ...trafficQuery(scope, range === "live" ? "1h" : range, domain.domain),
    enabled: range !== "live",
  });
  const rates = useMemo(
    () => (range === "live" ? liveRates(live, domain.id) : traffic.data ? windowRates(traffic.data) : null),
    [range, live, traffic.data, domain.id],
  );
  return (
    <Panel
      title={t.overview.traffic}
      window={
        range === "live"
          ? `${t.overview.windowOf(duration(liveWindow(live)))}, ${t.overview.step(duration(1))}`
          : `${t.overview.windows[range]}, ${t.overview.step(duration(windows[range].step))}`
      }
      actions={<RangeSwitch value={range} onChange={onRange} />}
    >
      {rates && rates.x.length > 0 ? (
        <TrafficChart rates={rates} height={160} />
      ) : (
        <div className={styles["waiting"]}>{t.overview.waiting}</div>
      )}
    </Panel>
  );
}

function Summary({ domain }: { domain: Domain }) {
  return (
    <Panel title={t.domain.summary}>
      <Fields
        rows={[
          [
            t.domain.url,
            visitable(domain) ? (
              <a key="url" href={domain.url} target="_blank" rel="noreferrer">
                {domain.url}
              </a>
            ) : (
              domain.url
            ),
          ],
          [t.domain.origin, domain.origin ? <CopyText key="origin" value={domain.origin} /> : "–"],
          [
            t.domain.cdn,
            <span key="cdn" className="mono">
              {domain.cdn}
            </span>,
          ],
          [t.domain.redirect, domain.redirect_https ? t.domain.redirectOn : t.domain.redirectOff],
          [t.domain.hsts, domain.hsts?.max_age ? duration(domain.hsts.max_age) : t.domain.hstsOff],
          [t.domains.columns.dns, recordsBy(domain)],
          ...(domain.registrar ? [[t.watch.registrar, domain.registrar] as [string, string]] : []),
          ...(domain.expires_at ? [[t.watch.expires, date(domain.expires_at)] as [string, string]] : []),
          [t.lock.title, domain.locked ? t.lock.on : t.lock.off],
          [t.domain.rollout, <Rollout key="rollout" rollout={domain.rollout} />],
          [t.domain.created, date(domain.created_at)],
          [t.domain.changed, <TimeAgo key="changed" at={domain.updated_at} />],
          [
            t.domain.revision,
            <span key="revision" className="tnum">
              {domain.revision}
            </span>,
          ],
          [
            t.domain.id,
            <CopyText key="id" value={domain.id} shown={`${domain.id.slice(0, 8)}…${domain.id.slice(-5)}`} />,
          ],
        ]}
      />
    </Panel>
  );
}

const conditionColumns = (domain: Domain): Column<Condition>[] => [
  {
    id: "type",
    header: t.domain.conditionColumns.condition,
    width: 110,
    cell: (c) => <span style={{ fontWeight: 500 }}>{c.type}</span>,
  },
  {
    id: "status",
    header: t.domain.conditionColumns.status,
    width: 100,
    cell: (c) => {
      const { tone, label } = conditionShown(domain, c);
      return <StatusBadge tone={tone}>{label}</StatusBadge>;
    },
  },
  {
    id: "message",
    header: t.domain.conditionColumns.message,
    cell: (c) => (c.message ? sentence(c.message) : <span className="dim">{c.reason}</span>),
  },
  {
    id: "since",
    header: t.domain.conditionColumns.since,
    align: "right",
    hideBelow: "sm",
    cell: (c) => <TimeAgo at={c.since} />,
  },
];

function Conditions({ domain }: { domain: Domain }) {
  if (domain.conditions.length === 0) return null;
  return (
    <Panel title={t.domain.conditions} flush>
      <DataTable
        label={t.domain.conditions}
        columns={conditionColumns(domain)}
        rows={domain.conditions}
        rowKey={(c) => c.type}
      />
    </Panel>
  );
}
