import { Button, FileButton, PasswordInput, SegmentedControl, Switch, Textarea } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { Fragment, useMemo } from "react";
import { Applied } from "@/app/Applied";
import { may, type Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { ChangeFlow } from "@/ui/ChangeFlow";
import { ReviewEnd } from "@/ui/FormEnd";
import { machineText, useLanded } from "@/ui/forms";
import { Icon } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import { Panel } from "@/ui/Panel";
import { StatusBadge } from "@/ui/StatusBadge";
import styles from "../certificates.module.css";
import { certificateQuery, type Upload, useUpload } from "../queries";
import { findings } from "./findings";

/** Of a file; the API takes as much of PEM, and less of PKCS #12. */
const maxBytes = 128 << 10;

/** Replaces the certificate by one got elsewhere: read while it is pasted, checked by the API, then served. */
export function UploadPanel({ scope, domain, takeover }: { scope: Scope; domain: string; takeover: boolean }) {
  const upload = useUpload(scope, domain);
  const detail = useQuery(certificateQuery(scope, domain));
  return (
    <Panel title={t.certificateOwn.title} window={<span className="hideSm">{t.certificateOwn.window}</span>}>
      <ChangeFlow<Upload>
        environment={scope.environment}
        plan={upload.plan}
        apply={(wanted, reason) => upload.apply.mutateAsync({ upload: wanted, reason })}
        done={(revision, again) => (
          <Applied scope={scope} revision={revision} onAgain={again} rollout={detail.data?.rollout} />
        )}
        form={({ review, planning, error, draft }) => (
          <Form
            scope={scope}
            domain={domain}
            takeover={takeover}
            draft={draft}
            planning={planning}
            error={error}
            onReview={review}
          />
        )}
      />
    </Panel>
  );
}

const fields = { "/chain_pem": "chain", "/key_pem": "key", "/pkcs12": "file" } as const;

function Form({
  scope,
  domain,
  takeover,
  draft,
  planning,
  error,
  onReview,
}: {
  scope: Scope;
  domain: string;
  takeover: boolean;
  draft: Upload | null;
  planning: boolean;
  error: Error | null;
  onReview: (upload: Upload) => void;
}) {
  const pem = draft && "chain_pem" in draft ? draft : null;
  const file = draft && "pkcs12" in draft ? draft : null;
  const form = useForm({
    mode: "controlled",
    initialValues: {
      kind: file ? "pkcs12" : "pem",
      chain: pem?.chain_pem ?? "",
      key: pem?.key_pem ?? "",
      file: file?.pkcs12 ?? "",
      fileName: "",
      password: file?.password ?? "",
      takeover: draft?.takeover ?? takeover,
    },
    validateInputOnBlur: ["chain"],
    validate: {
      chain: (value, { kind }) => {
        if (kind !== "pem" || /-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/.test(value)) return null;
        return /PRIVATE KEY-----/.test(value) ? t.certificateOwn.keyInChain : t.certificateOwn.chainNeeded;
      },
      file: (value, { kind }) => (kind === "pkcs12" && value === "" ? t.certificateOwn.fileNeeded : null),
    },
  });
  const landed = useLanded(form, error, fields);
  const { kind, chain, key } = form.values;
  const seen = useMemo(() => findings(domain, chain, key), [domain, chain, key]);
  const fromFile = (name: "chain" | "key") => (
    <FileButton
      accept=".pem,.crt,.cer,.key,.txt"
      onChange={(chosen) => {
        if (!chosen) return;
        if (chosen.size > maxBytes) return form.setFieldError(name, t.certificateOwn.tooBig);
        void chosen.text().then((text) => form.setFieldValue(name, text));
      }}
    >
      {(props) => (
        <Button
          {...props}
          variant="subtle"
          size="compact-xs"
          leftSection={<Icon name="file" size={13} />}
          aria-label={`${t.certificateOwn[name]}: ${t.certificateOwn.fromFile}`}
        >
          {t.certificateOwn.fromFile}
        </Button>
      )}
    </FileButton>
  );
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit((v) =>
        onReview(
          v.kind === "pkcs12"
            ? { pkcs12: v.file, password: v.password, takeover: v.takeover }
            : { chain_pem: v.chain, ...(v.key.trim() && { key_pem: v.key }), takeover: v.takeover },
        ),
      )}
    >
      <div>
        <SegmentedControl
          aria-label={t.certificateOwn.kind}
          data={[
            { value: "pem", label: t.certificateOwn.kinds.pem },
            { value: "pkcs12", label: t.certificateOwn.kinds.pkcs12 },
          ]}
          {...form.getInputProps("kind")}
        />
      </div>
      {kind === "pem" ? (
        <>
          <Textarea
            label={t.certificateOwn.chain}
            description={
              <span className="row wrap">
                {t.certificateOwn.chainHint} {fromFile("chain")}
              </span>
            }
            rows={7}
            spellCheck={false}
            autoComplete="off"
            styles={machineText}
            {...form.getInputProps("chain")}
          />
          <Textarea
            label={t.certificateOwn.key}
            description={
              <span className="row wrap">
                {t.certificateOwn.keyHint} {fromFile("key")}
              </span>
            }
            rows={4}
            spellCheck={false}
            autoComplete="off"
            styles={machineText}
            {...form.getInputProps("key")}
          />
          {seen.length > 0 && (
            <section aria-label={t.certificateOwn.seen} aria-live="polite">
              <dl className={styles["findings"]}>
                {seen.map((f) => (
                  <Fragment key={f.about}>
                    <dt>
                      <StatusBadge tone={f.tone}>{t.certificateOwn.abouts[f.about]}</StatusBadge>
                    </dt>
                    <dd>{f.text}</dd>
                  </Fragment>
                ))}
              </dl>
              <p className="dim small" style={{ marginTop: 6 }}>
                {t.certificateOwn.seenNote}
              </p>
            </section>
          )}
        </>
      ) : (
        <>
          <div className="stack tight">
            <div className="row wrap">
              <FileButton
                accept=".p12,.pfx,application/x-pkcs12"
                onChange={(chosen) => {
                  if (!chosen) return;
                  if (chosen.size > maxBytes) return form.setFieldError("file", t.certificateOwn.tooBig);
                  void chosen.arrayBuffer().then((content) => {
                    form.setFieldValue("file", btoa(String.fromCharCode(...new Uint8Array(content))));
                    form.setFieldValue("fileName", chosen.name);
                  });
                }}
              >
                {(props) => (
                  <Button {...props} variant="default" leftSection={<Icon name="file" size={14} />}>
                    {t.certificateOwn.file}
                  </Button>
                )}
              </FileButton>
              {form.values.fileName && <span className="soft">{t.certificateOwn.chosen(form.values.fileName)}</span>}
            </div>
            {form.errors["file"] && (
              <Notice tone="bad" alert>
                {form.errors["file"]}
              </Notice>
            )}
          </div>
          <PasswordInput
            label={t.certificateOwn.password}
            maw={360}
            autoComplete="off"
            {...form.getInputProps("password")}
          />
        </>
      )}
      <Switch label={t.certificateOwn.takeover} {...form.getInputProps("takeover", { type: "checkbox" })} />
      <ReviewEnd {...landed} pending={planning} disabled={!may(scope, "developer")} label={t.certificateOwn.check} />
    </form>
  );
}
