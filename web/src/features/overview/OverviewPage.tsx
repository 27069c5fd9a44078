import { Button } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { useLive } from "@/api/events";
import { useActorNames } from "@/app/actors";
import type { Range } from "@/app/router";
import { may, type Scope, useScope } from "@/app/session";
import { revisionsQuery } from "@/features/activity/queries";
import { type Domain, domainsQuery, visitable } from "@/features/domains/queries";
import { edgesQuery } from "@/features/edges/queries";
import { bytes, count, decimal, duration, milliseconds, ratio } from "@/lib/format";
import { t } from "@/lib/strings";
import { liveRates, liveTotals, liveWindow, recentRate, windowRates } from "@/lib/traffic";
import { CommandLine } from "@/ui/CommandLine";
import { EmptyState } from "@/ui/EmptyState";
import { Icon } from "@/ui/icons";
import { PageState, SkeletonBlock, SkeletonRows } from "@/ui/PageState";
import { PageHeader, Panel, type StatItem, Stats } from "@/ui/Panel";
import { RangeSwitch, TrafficChart } from "@/ui/TrafficChart";
import { ChangesTable } from "./components/ChangesTable";
import { EdgesTable } from "./components/EdgesTable";
import { SitesTable } from "./components/SitesTable";
import styles from "./overview.module.css";
import { type Traffic, trafficQuery, type WindowName, windows } from "./queries";

const route = getRouteApi("/shell/");

/** What serves, what is served, how much, and what changed last. */
export function OverviewPage() {
  const scope = useScope();
  const { range = "live", view } = route.useSearch();
  const navigate = route.useNavigate();
  const domains = useQuery(domainsQuery(scope));
  const stored: WindowName = range === "live" ? "1h" : range;
  const traffic = useQuery(trafficQuery(scope, stored));
  const show = (next: { range?: Range; view?: "chart" | "table" }) => {
    const merged = { range, view: view ?? "chart", ...next };
    void navigate({
      search: {
        ...(merged.range !== "live" && { range: merged.range }),
        ...(merged.view === "table" && { view: merged.view }),
      },
      replace: true,
    });
  };

  return (
    <>
      <PageHeader
        title={t.overview.title}
        actions={<RangeSwitch value={range} onChange={(next) => show({ range: next })} />}
      />
      <div className="stack">
        {domains.data?.domains.length === 0 && <GettingStarted canAdd={may(scope, "developer")} />}
        <PageState query={traffic} skeleton={<SkeletonBlock height={92} />}>
          {(data) => <Numbers range={range} stored={stored} traffic={data} />}
        </PageState>
        <Panel title={t.overview.traffic} window={<ChartWindow range={range} />}>
          <div className={styles["chartBox"]}>
            {view !== "table" && (
              <FirstVisit range={range} traffic={traffic.data} domains={domains.data?.domains ?? []} />
            )}
            <ChartOf
              range={range}
              traffic={traffic.data}
              view={view ?? "chart"}
              onView={(next) => show({ view: next })}
            />
          </div>
        </Panel>
        <div className={styles["halves"]}>
          <EdgesPanel />
          <Panel
            title={t.overview.sites}
            window={t.domains.rateWindow}
            flush
            actions={<Link to="/domains">{t.overview.sitesAll}</Link>}
          >
            <PageState query={domains} skeleton={<SkeletonRows rows={4} />}>
              {({ domains }) => <SitesTable domains={domains} />}
            </PageState>
          </Panel>
        </div>
        <ChangesPanel scope={scope} />
      </div>
    </>
  );
}

function Numbers({ range, stored, traffic }: { range: Range; stored: WindowName; traffic: Traffic }) {
  const live = useLive();
  const now = recentRate(live, 10);
  const heard = liveTotals(live);
  const sums = range === "live" ? heard : traffic.totals;
  const note =
    range === "live"
      ? t.overview.windowOf(heard.seconds < 120 ? `${heard.seconds} s` : duration(heard.seconds))
      : t.overview.windows[range];
  const items: StatItem[] = [
    {
      label: t.overview.now,
      value: now === null ? "–" : decimal(now),
      unit: "/s",
      note: t.overview.lastSeconds(Math.max(1, Math.min(10, heard.seconds))),
    },
    { label: t.overview.requests, value: count(sums.requests), note },
    { label: t.overview.hitRatio, value: ratio(sums.hits, sums.requests), note },
    {
      label: t.overview.errors,
      value: count(sums.errors),
      note: sums.requests > 0 ? `${ratio(sums.errors, sums.requests)}, ${note}` : note,
    },
    { label: t.overview.bytes, value: bytes(sums.bytes), note },
    {
      label: t.overview.p95,
      value: traffic.totals.requests > 0 ? milliseconds(traffic.totals.p95_ms) : "–",
      note: t.overview.windows[stored],
    },
  ];
  return <Stats items={items} label={t.overview.stats} />;
}

/** Which time the chart covers, and what one point of it is. */
function ChartWindow({ range }: { range: Range }) {
  const live = useLive();
  return range === "live"
    ? `${t.overview.windowOf(duration(liveWindow(live)))}, ${t.overview.step(duration(1))}`
    : `${t.overview.windows[range]}, ${t.overview.step(duration(windows[range].step))}`;
}

/** A site with fewer requests than this in an hour has no visitors yet: edges and their owner look at it. */
const few = 20;

/** While nothing is to be seen: where to click for the first request. */
function FirstVisit({ range, traffic, domains }: { range: Range; traffic: Traffic | undefined; domains: Domain[] }) {
  const live = useLive();
  const site = domains.find(visitable);
  const quiet = range === "live" && liveTotals(live).requests === 0 && (traffic?.totals.requests ?? few) < few;
  if (!quiet || !site) return null;
  return (
    <p className={styles["firstVisit"]}>
      <span>
        {t.overview.quiet}{" "}
        <a href={site.url} target="_blank" rel="noreferrer">
          {t.overview.firstVisit(site.display || site.domain)}
        </a>
      </span>
    </p>
  );
}

function ChartOf({
  range,
  traffic,
  view,
  onView,
}: {
  range: Range;
  traffic: Traffic | undefined;
  view: "chart" | "table";
  onView: (view: "chart" | "table") => void;
}) {
  const live = useLive();
  const rates = useMemo(() => {
    if (range === "live") return liveRates(live);
    return traffic ? windowRates(traffic) : null;
  }, [range, live, traffic]);
  if (!rates || rates.x.length === 0) {
    return range === "live" ? (
      <div className={styles["waiting"]}>{t.overview.waiting}</div>
    ) : (
      <SkeletonBlock height={224} />
    );
  }
  return <TrafficChart rates={rates} view={view} onView={onView} />;
}

function EdgesPanel() {
  const edges = useQuery(edgesQuery());
  return (
    <Panel
      title={t.overview.edges}
      window={t.edges.rateWindow}
      flush
      actions={<Link to="/edges">{t.overview.edgesAll}</Link>}
    >
      <PageState query={edges} skeleton={<SkeletonRows rows={4} />}>
        {({ edges }) =>
          edges.length === 0 ? (
            <EmptyState icon="edges" title={t.edges.empty}>
              {t.overview.noEdges}
            </EmptyState>
          ) : (
            <EdgesTable edges={edges} />
          )
        }
      </PageState>
    </Panel>
  );
}

function ChangesPanel({ scope }: { scope: Scope }) {
  const revisions = useInfiniteQuery(revisionsQuery(scope, {}, 8));
  const actorName = useActorNames(scope);
  return (
    <Panel title={t.overview.changes} flush actions={<Link to="/activity">{t.overview.changesAll}</Link>}>
      <PageState query={revisions} skeleton={<SkeletonRows rows={5} />}>
        {({ pages }) => <ChangesTable revisions={pages[0]?.revisions ?? []} actorName={actorName} />}
      </PageState>
    </Panel>
  );
}

function GettingStarted({ canAdd }: { canAdd: boolean }) {
  return (
    <section className={styles["start"]} aria-labelledby="getting-started">
      <div className="stack tight">
        <h2 id="getting-started">{t.overview.started}</h2>
        <p className="soft">{t.overview.startedText}</p>
      </div>
      <div className={styles["startWays"]}>
        <div className="stack tight grow">
          <span className="dim small">{t.overview.startedCli}</span>
          <CommandLine command={t.overview.startedCommand} label={t.copy.value(t.overview.startedCommand)} />
        </div>
        <div className="stack tight">
          <span className="dim small">{t.overview.startedUi}</span>
          <Button
            size="sm"
            leftSection={<Icon name="plus" size={14} />}
            disabled={!canAdd}
            renderRoot={(props) => <Link {...props} to="/domains/add" />}
          >
            {t.domains.add}
          </Button>
        </div>
      </div>
    </section>
  );
}
