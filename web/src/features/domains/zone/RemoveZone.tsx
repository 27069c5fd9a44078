import { Modal } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Scope } from "@/app/session";
import { readable } from "@/lib/idn";
import { t } from "@/lib/strings";
import { ConfirmByTyping } from "@/ui/ConfirmByTyping";
import { Notice } from "@/ui/Notice";
import { toast } from "@/ui/UndoToast";
import styles from "../domains.module.css";
import { domainsQuery } from "../queries";
import { useRemoveZone, type Zone } from "../zoneQueries";

/** Removes a zone by its name, after saying what goes with it and who would notice. */
export function RemoveZone({
  scope,
  zone,
  opened,
  onClose,
}: {
  scope: Scope;
  zone: Zone;
  opened: boolean;
  onClose: () => void;
}) {
  const remove = useRemoveZone(scope, zone, () => {
    onClose();
    toast(t.zoneRemove.done(readable(zone.name)));
  });
  const leadsHere = zone.conditions.some((c) => c.type === "Delegated" && c.status === "true");
  const hasDS = (zone.parent?.ds ?? []).length > 0;
  const domains = useQuery({ ...domainsQuery(scope), enabled: opened });
  // Their set-up would make the zone again at once.
  const holders = (domains.data?.domains ?? []).filter(
    (d) => d.dns.mode === "managed" && `.${d.domain}`.endsWith(`.${zone.name}`),
  );
  if (holders.length > 0) {
    return (
      <Modal opened={opened} onClose={onClose} title={t.zoneRemove.title(readable(zone.name))}>
        <div className="stack tight">
          <Notice tone="warn">{t.zoneRemove.held}</Notice>
          <ul className={styles["losses"]}>
            {holders.map((d) => (
              <li key={d.id}>
                <Link to="/domains/$domain" params={{ domain: d.domain }} search={{ tab: "dns" }} onClick={onClose}>
                  {t.zoneRemove.holder(d.display || d.domain)}
                </Link>
              </li>
            ))}
          </ul>
        </div>
      </Modal>
    );
  }
  return (
    <ConfirmByTyping
      opened={opened}
      onClose={onClose}
      title={t.zoneRemove.title(readable(zone.name))}
      name={zone.name}
      confirmLabel={t.zoneRemove.confirm}
      pending={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
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
  );
}
