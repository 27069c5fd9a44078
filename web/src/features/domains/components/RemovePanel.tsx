import { Button, Loader, Radio } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { sentence } from "@/api/client";
import { may, type Scope } from "@/app/session";
import { useUndoLast } from "@/features/activity/queries";
import { t } from "@/lib/strings";
import { ConfirmByTyping } from "@/ui/ConfirmByTyping";
import { Panel } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import { undoToast } from "@/ui/UndoToast";
import styles from "../domains.module.css";
import { type Domain, removalQuery, useRemoveDomain } from "../queries";

/** The way to remove a domain, and what becomes of its records at a DNS provider. */
export function RemovePanel({ scope, domain }: { scope: Scope; domain: Domain }) {
  const [asking, setAsking] = useState(false);
  const [leave, setLeave] = useState(false);
  const remove = useRemoveDomain(scope);
  const undo = useUndoLast(scope);
  const navigate = useNavigate();
  return (
    <Panel title={t.domainSettings.danger}>
      <div className="row between wrap">
        <p className="soft grow">{domain.locked ? t.lock.first : t.domainSettings.dangerText}</p>
        <Button
          color="red"
          variant="outline"
          onClick={() => {
            setLeave(false);
            setAsking(true);
          }}
          disabled={!may(scope, "developer") || domain.locked}
        >
          {t.domainSettings.remove}
        </Button>
      </div>
      <ConfirmByTyping
        opened={asking}
        onClose={() => setAsking(false)}
        title={t.domainSettings.removeTitle(domain.display || domain.domain)}
        name={domain.domain}
        confirmLabel={t.domainSettings.remove}
        pending={remove.isPending}
        error={remove.error}
        onConfirm={() =>
          remove.mutate(
            { domain, leave },
            {
              onSuccess: () => {
                void navigate({ to: "/domains" });
                undoToast(t.domainSettings.removed(domain.display || domain.domain), () => undo("domain", domain.id));
              },
            },
          )
        }
      >
        <p>{t.domainSettings.removeText}</p>
        {asking && <AtProvider scope={scope} domain={domain} leave={leave} onLeave={setLeave} />}
      </ConfirmByTyping>
    </Panel>
  );
}

/** Records that were set at a DNS provider: which would go, and the choice to leave them. */
export function AtProvider({
  scope,
  domain,
  leave,
  onLeave,
}: {
  scope: Scope;
  domain: Domain;
  leave: boolean;
  onLeave: (leave: boolean) => void;
}) {
  const query = useQuery(removalQuery(scope, domain));
  const text = t.domainSettings.atProvider;
  // Without records there is nothing to choose; who has them at a provider sees that it is being asked.
  if (query.isPending) {
    return domain.dns.mode === "provider" ? (
      <p className="row dim" role="status">
        <Loader size={14} aria-hidden="true" />
        {text.asking}
      </p>
    ) : null;
  }
  if (query.error) return <Refused error={query.error} title={text.failed} />;
  if (query.data.length === 0) return null;
  return (
    <Radio.Group label={text.label} value={leave ? "leave" : "remove"} onChange={(value) => onLeave(value === "leave")}>
      <div className="stack tight" style={{ marginTop: 6 }}>
        <Radio size="xs" value="remove" label={text.remove} />
        <ul className={styles["goes"]} data-off={leave || undefined}>
          {query.data.map((line) => (
            <li key={line}>{sentence(line)}</li>
          ))}
        </ul>
        <Radio size="xs" value="leave" label={text.leave} description={text.leaveHint} />
      </div>
    </Radio.Group>
  );
}
