import { useQuery } from "@tanstack/react-query";
import { sentence } from "@/api/client";
import type { Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { Notice } from "@/ui/Notice";
import { PageState } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { StatusBadge } from "@/ui/StatusBadge";
import { TimeAgo } from "@/ui/Time";
import { Seen } from "../components/Seen";
import styles from "../domains.module.css";
import type { Domain } from "../queries";
import { type Watch, watchQuery } from "../stateQueries";
import { PropagationPanel } from "./PropagationPanel";
import { RegistryPanel } from "./RegistryPanel";

/** What goes on around a domain: its records in the world, its delegation, its registration. */
export function MonitoringTab({ scope, domain }: { scope: Scope; domain: Domain }) {
  const watch = useQuery(watchQuery(scope, domain.domain));
  return (
    <div className={styles["mainAside"]}>
      <div className="stack">
        <PropagationPanel scope={scope} domain={domain.domain} />
        <PageState query={watch}>{(found) => <Found watch={found} />}</PageState>
      </div>
      <RegistryPanel scope={scope} domain={domain.domain} />
    </div>
  );
}

function Found({ watch }: { watch: Watch }) {
  return (
    <>
      {watch.dangling.length > 0 && <Dangling records={watch.dangling} />}
      <Panel
        title={t.watch.resolution}
        window={
          watch.checked_at && (
            <>
              {t.watch.watchedAt} <TimeAgo at={watch.checked_at} />
            </>
          )
        }
        flush
      >
        {watch.error && (
          <div style={{ padding: 12 }}>
            <Notice tone="warn" title={t.watch.failed}>
              {sentence(watch.error)}
            </Notice>
          </div>
        )}
        {watch.resolution.length === 0 ? (
          <EmptyState icon="search" title={t.watch.resolutionNone}>
            {t.watch.resolutionNoneText}
          </EmptyState>
        ) : (
          watch.resolution.map((r) => (
            <div key={`${r.type} ${r.name}`} className={styles["spread"]}>
              <div className="row between wrap">
                <span className="row wrap">
                  <span className="mono">{r.type}</span>
                  <span className="mono" style={{ fontWeight: 500, overflowWrap: "anywhere" }}>
                    {r.name}
                  </span>
                </span>
                <StatusBadge tone={r.agreed ? "ok" : "warn"}>
                  {r.agreed ? t.watch.agreed : t.watch.disagreed}
                </StatusBadge>
              </div>
              <Seen label={`${t.records.seen}: ${r.type} ${r.name}`} seen={r.seen} />
            </div>
          ))
        )}
      </Panel>
      {watch.delegation && <Delegation delegation={watch.delegation} />}
    </>
  );
}

function Dangling({ records }: { records: Watch["dangling"] }) {
  return (
    <Panel title={t.watch.dangling}>
      <ul className={styles["plainList"]}>
        {records.map((r) => (
          <li key={`${r.type} ${r.name} ${r.target}`}>
            <Notice tone="bad" title={`${t.watch.danglingReasons[r.reason] ?? r.reason}.`}>
              {sentence(r.detail)} {sentence(r.fix)}
              <div className="mono" style={{ marginTop: 4, color: "var(--ew-ink-2)" }}>
                {r.name} {r.type} {r.target}
              </div>
            </Notice>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

type DelegationState = NonNullable<Watch["delegation"]>;
type Server = DelegationState["servers"][number];

const serverColumns: Column<Server>[] = [
  { id: "server", header: t.watch.serverColumns.server, cell: (s) => <span className="mono">{s.name}</span> },
  {
    id: "state",
    header: t.watch.serverColumns.state,
    cell: (s) => (
      <span className={styles["wrapStatus"]}>
        <StatusBadge tone={s.error ? "bad" : "ok"}>{s.error ? sentence(s.error) : t.watch.answers}</StatusBadge>
      </span>
    ),
  },
  {
    id: "addresses",
    header: t.watch.serverColumns.addresses,
    hideBelow: "sm",
    cell: (s) => <span className="mono">{s.addresses.join(", ")}</span>,
  },
];

const folded = (names: string[]) =>
  names
    .map((n) => n.toLowerCase().replace(/\.$/, ""))
    .sort()
    .join(" ");

function Delegation({ delegation: d }: { delegation: DelegationState }) {
  const same = folded(d.parent_ns) === folded(d.zone_ns);
  return (
    <Panel title={t.watch.delegation} window={d.zone} flush>
      <div className={`stack tight ${styles["wrapStatus"]}`} style={{ padding: "12px 16px" }}>
        <StatusBadge tone={same ? "ok" : "warn"}>{same ? t.watch.sameNs : t.watch.otherNs}</StatusBadge>
        {!same && (
          <dl className={styles["pairs"]}>
            <dt>{t.watch.parent(d.parent)}</dt>
            <dd className="mono">{d.parent_ns.join(", ") || t.common.none}</dd>
            <dt>{t.watch.zoneSays}</dt>
            <dd className="mono">{d.zone_ns.join(", ") || t.common.none}</dd>
          </dl>
        )}
        <StatusBadge tone={dsTone(d)}>{dsText(d)}</StatusBadge>
      </div>
      <div style={{ borderTop: "1px solid var(--ew-border)" }}>
        <DataTable label={t.watch.servers} columns={serverColumns} rows={d.servers} rowKey={(s) => s.name} />
      </div>
    </Panel>
  );
}

function dsTone(d: DelegationState) {
  if (d.parent_ds.length > 0) return d.ds_matches ? "ok" : "bad";
  return d.signed ? "warn" : "idle";
}

function dsText(d: DelegationState) {
  if (d.parent_ds.length > 0) return d.ds_matches ? t.watch.dsMatches : t.watch.dsWrong;
  return d.signed ? t.watch.dsMissing : t.watch.notSigned;
}
