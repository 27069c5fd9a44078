import { Button, PasswordInput, Radio } from "@mantine/core";
import { useState } from "react";
import { may, type Scope } from "@/app/session";
import { bytesOf, fileName, saveFile } from "@/lib/download";
import { t } from "@/lib/strings";
import { ConfirmByTyping } from "@/ui/ConfirmByTyping";
import { fieldErrors } from "@/ui/forms";
import { toast } from "@/ui/UndoToast";
import { useExport } from "../queries";

const shortest = 12; // characters; the API's bound on a password

/** Takes the certificate out with its key: after its name was typed, into files, and into the audit log. */
export function ExportButton({ scope, domain }: { scope: Scope; domain: string }) {
  const [open, setOpen] = useState(false);
  const [form, setForm] = useState<"pem" | "pkcs12">("pkcs12");
  const [password, setPassword] = useState("");
  const [tried, setTried] = useState(false);
  const taking = useExport(scope, domain);
  const close = () => {
    setOpen(false);
    setPassword("");
    setTried(false);
    taking.reset();
  };
  const allowed = may(scope, "owner");
  const short = form === "pkcs12" && password.length < shortest;
  return (
    <>
      <Button
        variant="default"
        disabled={!allowed}
        title={allowed ? undefined : t.certificateExport.ownersOnly}
        onClick={() => setOpen(true)}
      >
        {t.certificateExport.open}
      </Button>
      <ConfirmByTyping
        opened={open}
        onClose={close}
        title={t.certificateExport.title(domain)}
        name={domain}
        confirmLabel={t.certificateExport.confirm}
        pending={taking.isPending}
        error={taking.error}
        onConfirm={() => {
          setTried(true);
          if (short) return;
          taking.mutate(form === "pkcs12" ? password : "", {
            onSuccess: (taken) => {
              if (taken.pkcs12) saveFile(fileName(domain, "p12"), "application/x-pkcs12", bytesOf(taken.pkcs12));
              else {
                const both = `${taken.key_pem ?? ""}${taken.chain_pem}`; // one file, as servers take it
                saveFile(fileName(domain, "pem"), "application/x-pem-file", both);
              }
              toast(t.certificateExport.done);
              close();
            },
          });
        }}
      >
        <p>{t.certificateExport.text}</p>
        <Radio.Group
          label={t.certificateExport.format}
          value={form}
          onChange={(value) => setForm(value === "pem" ? "pem" : "pkcs12")}
        >
          <div className="stack tight" style={{ marginTop: 6 }}>
            <Radio value="pkcs12" label={t.certificateExport.formats.pkcs12} />
            <Radio value="pem" label={t.certificateExport.formats.pem} />
          </div>
        </Radio.Group>
        {form === "pkcs12" && (
          <PasswordInput
            label={t.certificateExport.password}
            description={t.certificateExport.passwordHint}
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            error={tried && short ? t.certificateExport.passwordShort : fieldErrors(taking.error)("/password")}
            autoComplete="new-password"
          />
        )}
      </ConfirmByTyping>
    </>
  );
}
