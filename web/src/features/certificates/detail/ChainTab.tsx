import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import { fileName, saveFile } from "@/lib/download";
import { date } from "@/lib/format";
import { t } from "@/lib/strings";
import { CopyText } from "@/ui/CommandLine";
import { CopyButton } from "@/ui/CopyButton";
import { EmptyState } from "@/ui/EmptyState";
import { Icon } from "@/ui/icons";
import { Fields, Panel } from "@/ui/Panel";
import { Rollout } from "@/ui/Rollout";
import styles from "../certificates.module.css";
import type { CertificateDetail, ChainLink } from "../queries";

/** The chain as it is served, certificate by certificate, to look at and to take. */
export function ChainTab({ detail }: { detail: CertificateDetail }) {
  const { chain, chain_pem: pem = "", certificate } = detail;
  const last = chain[chain.length - 1];
  return (
    <Panel
      title={t.chain.title}
      window={<span className="hideSm">{t.chain.window}</span>}
      flush
      actions={
        pem !== "" && (
          <>
            <Rollout rollout={detail.rollout} />
            <CopyButton value={pem} label={t.chain.copy} size={28} />
            <Button
              variant="default"
              leftSection={<Icon name="download" size={14} />}
              onClick={() => saveFile(fileName(certificate.domain, "pem"), "application/x-pem-file", pem)}
            >
              {t.chain.download}
            </Button>
          </>
        )
      }
    >
      {!last ? (
        <EmptyState icon="certificate" title={t.chain.none}>
          {t.chain.noneText}
        </EmptyState>
      ) : (
        <>
          <ol className={styles["chain"]}>
            {chain.map((link, i) => (
              <li key={link.fingerprint} className={styles["link"]}>
                <Icon name={i === 0 ? "certificate" : "link"} size={18} />
                <div>
                  <div className={styles["linkHead"]}>
                    <h3>{commonName(link.subject)}</h3>
                    <span className="dim">{i === 0 ? t.chain.roles.leaf : t.chain.roles.intermediate}</span>
                  </div>
                  <Fields rows={rowsOf(link)} />
                </div>
              </li>
            ))}
          </ol>
          <p className={`soft ${styles["note"]}`}>{t.chain.endsAt(commonName(last.issuer))}</p>
        </>
      )}
    </Panel>
  );
}

/** The CN of a distinguished name (RFC 4514), or all of it. */
export function commonName(name: string): string {
  return /(?:^|,)CN=((?:\\.|[^,])+)/.exec(name)?.[1]?.replace(/\\(.)/g, "$1") ?? name;
}

function rowsOf(link: ChainLink): [string, ReactNode][] {
  return [
    [t.chain.subject, link.subject || "–"],
    [t.chain.issuer, link.issuer],
    [t.chain.valid, t.chain.span(date(link.not_before), date(link.not_after))],
    [t.chain.key, link.key],
    [t.chain.signature, link.signature],
    [t.chain.serial, <CopyText key="serial" value={link.serial} />],
    [t.chain.fingerprint, <CopyText key="print" value={link.fingerprint} />],
    ...(link.ocsp ?? []).map((url): [string, ReactNode] => [t.chain.ocsp, <CopyText key={url} value={url} />]),
    ...(link.crl ?? []).map((url): [string, ReactNode] => [t.chain.crl, <CopyText key={url} value={url} />]),
  ];
}
