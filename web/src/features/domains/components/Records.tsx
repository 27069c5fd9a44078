import { t } from "@/lib/strings";
import { CopyText } from "@/ui/CommandLine";
import { Panel } from "@/ui/Panel";
import { StatusBadge } from "@/ui/StatusBadge";
import styles from "../domains.module.css";
import type { DNSRecord, Domain } from "../queries";
import { Seen } from "./Seen";

/** One record to publish: every part to copy, and what each resolver answers for it now. */
export function RecordRow({ record }: { record: DNSRecord }) {
  return (
    <div className={styles["record"]}>
      <div>
        <div className={styles["recordLabel"]}>{t.records.columns.type}</div>
        <span className="mono">{record.type}</span>
      </div>
      <div className={styles["recordWide"]}>
        <div className={styles["recordLabel"]}>{t.records.columns.name}</div>
        <CopyText value={record.name} />
        {record.full_name !== record.name && (
          <div className="small">
            <CopyText value={record.full_name} />
          </div>
        )}
      </div>
      <div className={styles["recordWide"]}>
        <div className={styles["recordLabel"]}>{t.records.columns.value}</div>
        <CopyText value={record.value} />
      </div>
      <div>
        <div className={styles["recordLabel"]}>{t.records.columns.ttl}</div>
        <span className="tnum nowrap">{t.records.seconds(record.ttl)}</span>
      </div>
      <div className={styles["recordState"]}>
        <div className={styles["recordLabel"]}>{t.records.columns.state}</div>
        <StatusBadge tone={record.found ? "ok" : "warn"}>
          {record.found ? t.records.found : t.records.notFound}
        </StatusBadge>
      </div>
      <Seen label={`${t.records.seen}: ${record.type} ${record.full_name}`} seen={record.seen} />
    </div>
  );
}

/** Where the name must lead. */
export function RoutingPanel({ domain }: { domain: Domain }) {
  const records = domain.verification.records.filter((r) => r.purpose === "routing");
  if (records.length === 0) return null;
  return (
    <Panel title={t.records.routingTitle} window={t.records.routingText} flush>
      {records.map((record) => (
        <RecordRow key={`${record.type} ${record.full_name} ${record.value}`} record={record} />
      ))}
    </Panel>
  );
}
