import { Button, Select } from "@mantine/core";
import { useState } from "react";
import { may, type Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { ConfirmByTyping } from "@/ui/ConfirmByTyping";
import { toast } from "@/ui/UndoToast";
import { useRevoke } from "../queries";

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
