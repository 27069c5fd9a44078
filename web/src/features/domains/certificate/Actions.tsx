import { Button, Checkbox, Modal, Select, Textarea } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useState } from "react";
import { may, type Scope } from "@/app/session";
import { useRevoke, useUpload } from "@/features/certificates/queries";
import { t } from "@/lib/strings";
import { ConfirmByTyping } from "@/ui/ConfirmByTyping";
import { landErrors } from "@/ui/forms";
import { Notice } from "@/ui/Notice";
import { toast } from "@/ui/UndoToast";

/** How many PEM blocks of a kind a text holds. */
export function pemBlocks(text: string): { certificates: number; keys: number } {
  const labels = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----/g)].map((m) => m[1] ?? "");
  return {
    certificates: labels.filter((l) => l.endsWith("CERTIFICATE")).length,
    keys: labels.filter((l) => l.endsWith("PRIVATE KEY")).length,
  };
}

const mono = { input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: 11 } };

/** Replaces the certificate by one that was got elsewhere. */
export function UploadButton({ scope, domain }: { scope: Scope; domain: string }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button variant="default" disabled={!may(scope, "developer")} onClick={() => setOpen(true)}>
        {t.certificateActions.upload}
      </Button>
      <Modal size="lg" opened={open} onClose={() => setOpen(false)} title={t.certificateActions.uploadTitle(domain)}>
        <UploadForm scope={scope} domain={domain} onDone={() => setOpen(false)} />
      </Modal>
    </>
  );
}

function UploadForm({ scope, domain, onDone }: { scope: Scope; domain: string; onDone: () => void }) {
  const upload = useUpload(scope, domain);
  const form = useForm({
    mode: "controlled",
    initialValues: { chain: "", key: "", takeover: false },
    validateInputOnBlur: ["chain", "key"],
    validate: {
      chain: (value) => {
        const { certificates, keys } = pemBlocks(value);
        if (keys > 0) return t.certificateActions.keyInChain;
        return certificates === 0 ? t.certificateActions.chainNeeded : null;
      },
      key: (value) => (pemBlocks(value).keys === 0 ? t.certificateActions.keyNeeded : null),
    },
  });
  const { certificates } = pemBlocks(form.values.chain);
  const { keys } = pemBlocks(form.values.key);
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit((values) =>
        upload.mutate(
          { chain_pem: values.chain, key_pem: values.key, takeover: values.takeover },
          {
            onSuccess: () => {
              toast(t.certificateActions.uploadDone);
              onDone();
            },
            onError: (error) => landErrors(form, error, { "/chain_pem": "chain", "/key_pem": "key" }),
          },
        ),
      )}
    >
      <Textarea
        label={t.certificateActions.chain}
        description={t.certificateActions.chainHint}
        rows={6}
        spellCheck={false}
        autoComplete="off"
        styles={mono}
        data-autofocus
        {...form.getInputProps("chain")}
      />
      <Textarea
        label={t.certificateActions.key}
        description={t.certificateActions.keyHint}
        rows={4}
        spellCheck={false}
        autoComplete="off"
        styles={mono}
        {...form.getInputProps("key")}
      />
      {(certificates > 0 || keys > 0) && (
        <p className="dim tnum" role="status">
          {t.certificateActions.found(certificates, keys)}
        </p>
      )}
      <Checkbox
        size="xs"
        label={t.certificateActions.takeover}
        {...form.getInputProps("takeover", { type: "checkbox" })}
      />
      {upload.error && (
        <Notice tone="bad" alert>
          {upload.error.message}
        </Notice>
      )}
      <div className="row" style={{ justifyContent: "flex-end" }}>
        <Button variant="default" onClick={onDone} disabled={upload.isPending}>
          {t.common.cancel}
        </Button>
        <Button type="submit" loading={upload.isPending}>
          {t.certificateActions.uploadNow}
        </Button>
      </div>
    </form>
  );
}

/** Has the certificate replaced and revoked: by name, with the reason that its authority is told. */
export function RevokeButton({ scope, domain }: { scope: Scope; domain: string }) {
  const [open, setOpen] = useState(false);
  const [reason, setReason] = useState("unspecified");
  const revoke = useRevoke(scope, domain);
  return (
    <>
      <Button color="red" variant="outline" disabled={!may(scope, "developer")} onClick={() => setOpen(true)}>
        {t.certificateActions.revoke}
      </Button>
      <ConfirmByTyping
        opened={open}
        onClose={() => setOpen(false)}
        title={t.certificateActions.revokeTitle(domain)}
        name={domain}
        confirmLabel={t.certificateActions.revoke}
        pending={revoke.isPending}
        error={revoke.error}
        onConfirm={() =>
          revoke.mutate(reason, {
            onSuccess: () => {
              toast(t.certificateActions.revoked);
              setOpen(false);
            },
          })
        }
      >
        <p>{t.certificateActions.revokeText}</p>
        <Select
          label={t.certificateActions.revokeReason}
          data={Object.entries(t.certificateActions.reasons).map(([value, label]) => ({ value, label }))}
          value={reason}
          onChange={(value) => setReason(value ?? "unspecified")}
        />
      </ConfirmByTyping>
    </>
  );
}
