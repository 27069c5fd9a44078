import { Button, SegmentedControl, Select } from "@mantine/core";
import { useState } from "react";
import { sentence } from "@/api/client";
import { may, type Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { CommandLine } from "@/ui/CommandLine";
import { type Column, DataTable } from "@/ui/DataTable";
import { Icon } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import { Panel } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import type { Tone } from "@/ui/StatusBadge";
import { StatusBadge } from "@/ui/StatusBadge";
import { TimeAgo, TimeUntil } from "@/ui/Time";
import { RecordRow } from "../components/Records";
import styles from "../domains.module.css";
import { type Domain, useVerifyDomain } from "../queries";
import { useSendMail } from "../stateQueries";
import { conditionOf } from "./steps";

const methods = ["dns", "file", "email"] as const;
type Method = (typeof methods)[number];

/** What proves ownership, by DNS, file or mail, and the button that looks at once. */
export function OwnershipPanel({ scope, domain }: { scope: Scope; domain: Domain }) {
  const { verification } = domain;
  const verify = useVerifyDomain(scope, domain.domain);
  const [method, setMethod] = useState<Method>(methods.find((m) => m === verification.method) ?? "dns");
  const records = verification.records.filter((r) => r.purpose === "ownership");
  const pending = verification.status === "pending";
  const message = conditionOf(domain, "Ownership")?.message;
  const labels = { dns: t.records.dnsTab, file: t.records.fileTab, email: t.email.tab };

  return (
    <Panel
      title={t.records.ownershipTitle}
      flush
      actions={
        <SegmentedControl
          aria-label={t.records.method}
          value={method}
          onChange={(value) => setMethod(methods.find((m) => m === value) ?? "dns")}
          data={methods
            .filter((m) => m !== "email" || verification.mail_addresses.length > 0)
            .map((value) => ({ value, label: labels[value] }))}
        />
      }
    >
      {method === "dns" && records.map((record) => <RecordRow key={record.full_name + record.type} record={record} />)}
      {method === "file" && <FileProof domain={domain} />}
      {method === "email" && <MailProof scope={scope} domain={domain} />}
      {verify.error && (
        <div style={{ padding: "0 16px 12px" }}>
          <Notice tone="bad" alert>
            {verify.error.message}
          </Notice>
        </div>
      )}
      {verify.data && method !== "email" && (
        <div style={{ padding: "0 16px 12px" }}>
          <Notice
            tone={verify.data.verified ? "ok" : "warn"}
            title={verify.data.verified ? t.records.foundNow : t.records.notFoundNow}
          >
            {!verify.data.verified && message && sentence(message)}
          </Notice>
        </div>
      )}
      {method !== "email" && (
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
      )}
    </Panel>
  );
}

function FileProof({ domain }: { domain: Domain }) {
  const { file } = domain.verification;
  if (!file) {
    return (
      <p className="dim" style={{ padding: 16 }}>
        {t.records.noFile}
      </p>
    );
  }
  return (
    <div className="stack" style={{ padding: "12px 16px" }}>
      <div>
        <div className={styles["recordLabel"]}>{t.records.fileUrl}</div>
        <CommandLine command={file.url} label={t.copy.value(file.url)} prompt={false} />
      </div>
      <div>
        <div className={styles["recordLabel"]}>{t.records.fileContent}</div>
        <CommandLine command={file.content} label={t.copy.value(file.content)} prompt={false} />
      </div>
      <div className="row wrap">
        <StatusBadge tone={file.found ? "ok" : "warn"}>{file.found ? t.records.found : t.records.notFound}</StatusBadge>
        {file.error && (
          <span className="dim">
            {t.records.fileError}: {file.error}
          </span>
        )}
      </div>
    </div>
  );
}

type Link = NonNullable<Domain["verification"]["mail"]>["links"][number];

const linkTones: Record<string, Tone> = { sent: "info", spent: "ok", expired: "warn", failed: "bad" };

const linkColumns: Column<Link>[] = [
  { id: "address", header: t.email.columns.address, cell: (l) => <span className="mono">{l.address}</span> },
  {
    id: "state",
    header: t.email.columns.state,
    cell: (l) => (
      <span className="row wrap">
        <StatusBadge tone={linkTones[l.state] ?? "idle"}>{t.email.states[l.state] ?? l.state}</StatusBadge>
        {l.error && <span className="dim">{sentence(l.error)}</span>}
      </span>
    ),
  },
];

/** Links to the addresses that whoever runs a domain reads, and what became of them. */
function MailProof({ scope, domain }: { scope: Scope; domain: Domain }) {
  const { mail, mail_addresses: addresses } = domain.verification;
  const send = useSendMail(scope, domain.domain);
  const [to, setTo] = useState("");
  return (
    <>
      <div className="stack tight" style={{ padding: "12px 16px" }}>
        <p className="soft">{t.email.text}</p>
        <div className={styles["inlineForm"]}>
          <Select
            label={t.email.to}
            data={[{ value: "", label: t.email.all }, ...addresses.map((value) => ({ value, label: value }))]}
            value={to}
            onChange={(value) => setTo(value ?? "")}
          />
          <Button
            loading={send.isPending}
            disabled={!may(scope, "developer")}
            onClick={() => send.mutate({ ...(to ? { address: to } : {}), resend: mail !== undefined })}
          >
            {mail ? t.email.again : t.email.send}
          </Button>
        </div>
        <Refused error={send.error} />
        {send.isSuccess && <Notice tone="ok">{t.email.done}</Notice>}
      </div>
      {mail ? (
        <>
          <div style={{ borderTop: "1px solid var(--ew-border)" }}>
            <DataTable label={t.email.tab} columns={linkColumns} rows={mail.links} rowKey={(l) => l.address} />
          </div>
          <div className={styles["checkBar"]}>
            <span>
              {t.email.sent}: <TimeAgo at={mail.sent_at} />
            </span>
            {mail.expires_at && (
              <span>
                {t.email.expires}: <TimeUntil at={mail.expires_at} />
              </span>
            )}
          </div>
        </>
      ) : (
        <p className={`dim ${styles["checkBar"]}`}>{t.email.nothing}</p>
      )}
    </>
  );
}
