import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { Scope } from "@/app/session";
import { duration } from "@/lib/format";
import { t } from "@/lib/strings";
import { EmptyState } from "@/ui/EmptyState";
import { Icon } from "@/ui/icons";
import { PageState } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { StatusBadge } from "@/ui/StatusBadge";
import { TimeAgo } from "@/ui/Time";
import { Seen } from "../components/Seen";
import styles from "../domains.module.css";
import { type Propagation, propagationQuery } from "../stateQueries";

type RecordSet = Propagation["sets"][number];

const sorted = (values: string[]) => [...values].sort().join("\n");

/** How far each set of records has spread: who has it, since when everybody has. */
export function PropagationPanel({ scope, domain }: { scope: Scope; domain: string }) {
  const query = useQuery(propagationQuery(scope, domain));
  return (
    <Panel
      title={t.watch.propagation}
      window={t.watch.propagationWindow}
      flush
      actions={
        <Button
          variant="default"
          leftSection={<Icon name="refresh" size={14} />}
          loading={query.isFetching}
          onClick={() => void query.refetch()}
        >
          {t.watch.askNow}
        </Button>
      }
    >
      <PageState query={query}>
        {({ sets }) =>
          sets.length === 0 ? (
            <EmptyState icon="check" title={t.watch.propagationNone}>
              {t.watch.propagationNoneText}
            </EmptyState>
          ) : (
            sets.map((set) => <SpreadOf key={`${set.type} ${set.name}`} set={set} />)
          )
        }
      </PageState>
    </Panel>
  );
}

/** One set of records: what is wanted, how many have it, and what each answers. */
export function SpreadOf({ set }: { set: RecordSet }) {
  const took = set.complete_at && (Date.parse(set.complete_at) - Date.parse(set.changed_at)) / 1000;
  return (
    <div className={styles["spread"]}>
      <div className="row between wrap">
        <span className="row wrap">
          <span className="mono">{set.type}</span>
          <span className="mono" style={{ fontWeight: 500, overflowWrap: "anywhere" }}>
            {set.name}
          </span>
        </span>
        <StatusBadge tone={set.complete ? "ok" : set.answering === 0 ? "warn" : "info"}>
          {set.complete
            ? t.watch.complete
            : set.answering === 0
              ? t.watch.nobody
              : t.watch.spread(set.with, set.answering)}
        </StatusBadge>
      </div>
      <div className="dim small row wrap">
        <span>
          {t.watch.changed} <TimeAgo at={set.changed_at} />
        </span>
        {typeof took === "number" && <span>{t.watch.took(duration(Math.max(0, took)))}</span>}
        <span>
          {t.watch.wanted}:{" "}
          <span className="mono">{set.wanted.length > 0 ? set.wanted.join(", ") : t.common.none}</span>
        </span>
      </div>
      <Seen
        label={t.watch.who(`${set.type} ${set.name}`)}
        seen={set.seen}
        marked={(answers) => sorted(answers) === sorted(set.wanted)}
      />
    </div>
  );
}
