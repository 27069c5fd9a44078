import { Button, Modal, Textarea } from "@mantine/core";
import { useState } from "react";
import { may, type Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { Icon } from "@/ui/icons";
import { Panel } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import { StatusBadge } from "@/ui/StatusBadge";
import { toast } from "@/ui/UndoToast";
import type { Domain } from "../queries";
import { useSetLock } from "../stateQueries";

/** A domain's lock: closing it is one click, opening it asks why. */
export function LockPanel({ scope, domain }: { scope: Scope; domain: Domain }) {
  const [asking, setAsking] = useState(false);
  const [reason, setReason] = useState("");
  const lock = useSetLock(scope, domain);
  const name = domain.display || domain.domain;
  const set = (locked: boolean, why: string) =>
    lock.mutate(
      { locked, reason: why },
      {
        onSuccess: () => {
          setAsking(false);
          setReason("");
          toast(locked ? t.lock.locked(name) : t.lock.unlocked(name));
        },
      },
    );
  return (
    <Panel title={t.lock.title}>
      <div className="stack tight">
        <div className="row between wrap">
          <div className="grow stack tight" style={{ flexBasis: 240 }}>
            <StatusBadge tone={domain.locked ? "ok" : "idle"}>{domain.locked ? t.lock.on : t.lock.off}</StatusBadge>
            <p className="soft">{t.lock.text}</p>
          </div>
          <Button
            variant="default"
            leftSection={<Icon name={domain.locked ? "unlock" : "lock"} size={14} />}
            disabled={!may(scope, "developer")}
            loading={lock.isPending && !asking}
            onClick={() => (domain.locked ? setAsking(true) : set(true, ""))}
          >
            {domain.locked ? t.lock.unlock : t.lock.lock}
          </Button>
        </div>
        <Refused error={asking ? null : lock.error} />
      </div>
      <Modal opened={asking} onClose={() => setAsking(false)} title={t.lock.unlockTitle(name)}>
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            set(false, reason.trim());
          }}
        >
          <p>{t.lock.unlockText}</p>
          <Textarea
            label={t.diff.reason}
            description={t.diff.reasonHint}
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
            maxLength={500}
            rows={2}
            data-autofocus
          />
          <Refused error={lock.error} />
          <div className="row" style={{ justifyContent: "flex-end" }}>
            <Button variant="default" onClick={() => setAsking(false)} disabled={lock.isPending}>
              {t.common.cancel}
            </Button>
            <Button type="submit" color="red" loading={lock.isPending}>
              {t.lock.unlock}
            </Button>
          </div>
        </form>
      </Modal>
    </Panel>
  );
}
