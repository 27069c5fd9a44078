import { Button, SegmentedControl } from "@mantine/core";
import { useState } from "react";
import { may, type Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { CommandLine, CopyText } from "@/ui/CommandLine";
import { EmptyState } from "@/ui/EmptyState";
import { Icon } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import { Panel } from "@/ui/Panel";
import { StatusBadge } from "@/ui/StatusBadge";
import { TimeAgo, TimeUntil } from "@/ui/Time";
import styles from "../domains.module.css";
import { type DNSRecord, type Domain, useVerifyDomain } from "../queries";
import { conditionOf } from "../setup";

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
      <div className={styles["seen"]}>
        <table aria-label={`${t.records.seen}: ${record.type} ${record.full_name}`}>
          <caption className={styles["recordLabel"]} style={{ textAlign: "start", paddingBottom: 2 }}>
            {t.records.seen}
          </caption>
          <tbody>
            {record.seen.length === 0 && (
              <tr>
                <td className="dim">{t.records.notAsked}</td>
              </tr>
            )}
            {record.seen.map((seen) => (
              <tr key={seen.resolver}>
                <th scope="row" className="mono">
                  {seen.resolver}
                </th>
                <td className="mono">
                  {seen.answers.length > 0 ? (
                    seen.answers.map((answer) => <div key={answer}>{answer}</div>)
                  ) : (
                    <span className="dim">{seen.error || t.records.noAnswer}</span>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

/** What proves ownership, by DNS or by file, and the button that looks at once. */
export function OwnershipPanel({ scope, domain }: { scope: Scope; domain: Domain }) {
  const { verification } = domain;
  const verify = useVerifyDomain(scope, domain.domain);
  const [method, setMethod] = useState<"dns" | "file">(verification.method === "file" ? "file" : "dns");
  const records = verification.records.filter((r) => r.purpose === "ownership");
  const pending = verification.status === "pending";
  const message = conditionOf(domain, "Ownership")?.message;

  return (
    <Panel
      title={t.records.ownershipTitle}
      flush
      actions={
        <SegmentedControl
          aria-label={t.records.method}
          value={method}
          onChange={(value) => setMethod(value === "file" ? "file" : "dns")}
          data={[
            { value: "dns", label: t.records.dnsTab },
            { value: "file", label: t.records.fileTab },
          ]}
        />
      }
    >
      {method === "dns" ? (
        records.map((record) => <RecordRow key={record.full_name + record.type} record={record} />)
      ) : verification.file ? (
        <div className="stack" style={{ padding: "12px 16px" }}>
          <div>
            <div className={styles["recordLabel"]}>{t.records.fileUrl}</div>
            <CommandLine command={verification.file.url} label={t.copy.value(verification.file.url)} prompt={false} />
          </div>
          <div>
            <div className={styles["recordLabel"]}>{t.records.fileContent}</div>
            <CommandLine
              command={verification.file.content}
              label={t.copy.value(verification.file.content)}
              prompt={false}
            />
          </div>
          <div className="row">
            <StatusBadge tone={verification.file.found ? "ok" : "warn"}>
              {verification.file.found ? t.records.found : t.records.notFound}
            </StatusBadge>
            {verification.file.error && (
              <span className="dim">
                {t.records.fileError}: {verification.file.error}
              </span>
            )}
          </div>
        </div>
      ) : (
        <p className="dim" style={{ padding: 16 }}>
          {t.records.noFile}
        </p>
      )}
      {verify.error && (
        <div style={{ padding: "0 16px 12px" }}>
          <Notice tone="bad" alert>
            {verify.error.message}
          </Notice>
        </div>
      )}
      {verify.data && (
        <div style={{ padding: "0 16px 12px" }}>
          <Notice
            tone={verify.data.verified ? "ok" : "warn"}
            title={verify.data.verified ? t.records.foundNow : t.records.notFoundNow}
          >
            {!verify.data.verified && message}
          </Notice>
        </div>
      )}
      <div className={styles["checkBar"]}>
        <span>
          {t.records.checked}: <TimeAgo at={verification.checked_at} />
        </span>
        {pending && (
          <span>
            {t.records.next}: <TimeUntil at={verification.next_check_at} never={t.common.none} />
          </span>
        )}
        <Button
          ms="auto"
          variant="default"
          leftSection={<Icon name="refresh" size={14} />}
          loading={verify.isPending}
          disabled={!may(scope, "developer")}
          onClick={() => verify.mutate(method)}
        >
          {t.records.checkNow}
        </Button>
      </div>
    </Panel>
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

export function RecordsTab({ scope, domain }: { scope: Scope; domain: Domain }) {
  if (domain.verification.records.length === 0 && !domain.verification.required) {
    return (
      <Panel flush>
        <EmptyState icon="check" level={2} title={t.records.none}>
          {t.records.noneText}
        </EmptyState>
      </Panel>
    );
  }
  return (
    <div className="stack">
      {domain.verification.required && <OwnershipPanel scope={scope} domain={domain} />}
      <RoutingPanel domain={domain} />
    </div>
  );
}
