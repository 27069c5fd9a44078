import { Button } from "@mantine/core";
import { useState } from "react";
import { may, type Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { ConfirmByTyping } from "@/ui/ConfirmByTyping";
import { Notice } from "@/ui/Notice";
import { toast } from "@/ui/UndoToast";
import styles from "../domains.module.css";
import { useRemoveZone, type Zone } from "../zoneQueries";

/** Removes a zone by its name, after saying what goes with it and who would notice. */
export function RemoveZone({ scope, zone }: { scope: Scope; zone: Zone }) {
  const [open, setOpen] = useState(false);
  const remove = useRemoveZone(scope, zone);
  const leadsHere = zone.conditions.some((c) => c.type === "Delegated" && c.status === "true");
  const hasDS = (zone.parent?.ds ?? []).length > 0;
  return (
    <>
      <Button
        color="red"
        variant="outline"
        disabled={!may(scope, "developer")}
        onClick={() => {
          remove.reset();
          setOpen(true);
        }}
      >
        {t.zoneRemove.open}
      </Button>
      <ConfirmByTyping
        opened={open}
        onClose={() => setOpen(false)}
        title={t.zoneRemove.title(zone.name)}
        name={zone.name}
        confirmLabel={t.zoneRemove.confirm}
        pending={remove.isPending}
        error={remove.error}
        onConfirm={() =>
          remove.mutate(undefined, {
            onSuccess: () => {
              setOpen(false);
              toast(t.zoneRemove.done(zone.name));
            },
          })
        }
      >
        <div className="stack tight">
          <p>{t.zoneRemove.text}</p>
          <ul className={styles["losses"]}>
            <li>{t.zoneRemove.sets(zone.records)}</li>
            <li>{t.zoneRemove.settings}</li>
          </ul>
          {leadsHere && <Notice tone="bad">{t.zoneRemove.delegated}</Notice>}
          {hasDS && <Notice tone="bad">{t.zoneRemove.signed}</Notice>}
          <p className="soft">{t.zoneRemove.first}</p>
        </div>
      </ConfirmByTyping>
    </>
  );
}
