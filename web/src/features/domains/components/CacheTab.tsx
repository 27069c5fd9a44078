import { Button, Progress, Textarea } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { usePurge as usePurgeEvents } from "@/api/events";
import { may, type Scope } from "@/app/session";
import { trafficQuery } from "@/features/overview/queries";
import { readPurgePath } from "@/lib/domainName";
import { bytes, count, ratio } from "@/lib/format";
import { t } from "@/lib/strings";
import { ConfirmByTyping } from "@/ui/ConfirmByTyping";
import { PageState, SkeletonBlock } from "@/ui/PageState";
import { Panel, Stats } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import { StatusBadge } from "@/ui/StatusBadge";
import { type Domain, type Purge, purgeQuery, usePurge } from "../queries";

/** How well the cache serves, and how to empty it. */
export function CacheTab({ scope, domain }: { scope: Scope; domain: Domain }) {
  const traffic = useQuery(trafficQuery(scope, "1h", domain.domain));
  const window = t.overview.windows["1h"];
  return (
    <div className="stack">
      <PageState query={traffic} skeleton={<SkeletonBlock height={92} />}>
        {({ totals }) => (
          <Stats
            label={t.purge.ratio}
            items={[
              { label: t.overview.hitRatio, value: ratio(totals.hits, totals.requests), note: window },
              { label: t.overview.lines.hits, value: count(totals.hits), note: window },
              { label: t.cache.fromOrigin, value: bytes(totals.origin_bytes), note: window },
              { label: t.cache.saved, value: bytes(Math.max(0, totals.bytes - totals.origin_bytes)), note: window },
            ]}
          />
        )}
      </PageState>
      <PurgePanel scope={scope} domain={domain} requests={traffic.data?.totals.requests} />
    </div>
  );
}

function PurgePanel({ scope, domain, requests }: { scope: Scope; domain: Domain; requests: number | undefined }) {
  const purge = usePurge(scope);
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [all, setAll] = useState(false);
  const allowed = may(scope, "developer");
  const name = domain.domain;

  const submit = () => {
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    const wrong = lines.find((line) => readPurgePath(line) === null);
    if (lines.length === 0) return setProblem(t.purge.empty);
    if (wrong !== undefined) return setProblem(t.purge.wrong(wrong.trim()));
    setProblem(null);
    purge.mutate({ domain: name, paths: lines.map((line) => readPurgePath(line) ?? "") });
  };

  return (
    <Panel
      title={t.purge.title}
      actions={
        <Button variant="default" onClick={() => setAll(true)} disabled={!allowed}>
          {t.purge.all}
        </Button>
      }
    >
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <p className="soft">{t.purge.intro}</p>
        <Textarea
          label={t.purge.paths}
          description={t.purge.pathsHint}
          value={text}
          onChange={(event) => {
            setText(event.currentTarget.value);
            setProblem(null);
          }}
          error={problem}
          rows={3}
          autosize
          maxRows={10}
          spellCheck={false}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: 12 } }}
        />
        <div>
          <Button type="submit" loading={purge.isPending} disabled={!allowed}>
            {t.purge.submit}
          </Button>
        </div>
        <Refused error={purge.error} />
        {purge.data && <PurgeProgress key={purge.data.purge_id} scope={scope} answered={purge.data} />}
      </form>
      <ConfirmByTyping
        opened={all}
        onClose={() => setAll(false)}
        title={t.purge.allTitle(name)}
        name={name}
        confirmLabel={t.purge.all}
        pending={purge.isPending}
        error={purge.error}
        onConfirm={() => purge.mutate({ domain: name, purge_all: true }, { onSuccess: () => setAll(false) })}
      >
        <p>{t.purge.allText}</p>
        {requests !== undefined && <p className="dim">{t.purge.allCount(count(requests), requests === 1)}</p>}
      </ConfirmByTyping>
    </Panel>
  );
}

/** How many edges have done it, as they report. */
function PurgeProgress({ scope, answered }: { scope: Scope; answered: Purge }) {
  const asked = useQuery(purgeQuery(scope, answered.purge_id, answered.state === "acknowledged"));
  const purge = usePurgeEvents(asked.data ?? answered);
  const { total, acknowledged, missing, away } = purge.edges;
  const done = purge.state === "acknowledged";
  return (
    <div className="stack tight" role="status">
      <div className="row between wrap">
        <StatusBadge tone={done ? "ok" : "info"}>{done ? t.purge.done : t.purge.running}</StatusBadge>
        <span className="dim tnum">
          {t.purge.acknowledged(acknowledged, total)} ·{" "}
          {t.purge.removed(count(purge.purged_count), purge.purged_count === 1)}
        </span>
      </div>
      <Progress
        value={total === 0 ? 100 : (acknowledged / total) * 100}
        size="sm"
        color={done ? "teal" : "iris"}
        aria-label={t.purge.progress}
      />
      {missing.length > 0 && <p className="dim small">{t.purge.missing(missing.join(", "))}</p>}
      {away.length > 0 && <p className="dim small">{t.purge.away(away.join(", "))}</p>}
    </div>
  );
}
