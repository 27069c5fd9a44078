import { Button, Modal } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { sentence } from "@/api/client";
import { may, type Scope } from "@/app/session";
import { leftovers, type Placement, placementsQuery, useConsent, useLeave } from "@/features/dnsproviders/queries";
import { readable } from "@/lib/idn";
import { t } from "@/lib/strings";
import { FormEnd } from "@/ui/FormEnd";
import { PageState } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { StatusBadge, type Tone } from "@/ui/StatusBadge";
import { TimeAgo, TimeUntil } from "@/ui/Time";
import { toast } from "@/ui/UndoToast";
import styles from "./leftovers.module.css";

const words = t.leftovers;

type Dialog = { kind: "remove" | "leave"; placement: Placement };

/**
 * Records that were set for domains at their providers, are not wanted any more,
 * and could not be removed yet: why, when it is tried again, and what can be done.
 * Nothing where there are none.
 */
export function Leftovers({ scope }: { scope: Scope }) {
  const query = useQuery(placementsQuery(scope));
  const [dialog, setDialog] = useState<Dialog | null>(null);
  const allowed = may(scope, "developer");
  if (query.data ? leftovers(query.data).length === 0 : !query.error) return null;
  return (
    <>
      <Panel title={words.title} window={<span className="hideSm">{words.window}</span>} flush>
        <PageState query={query}>
          {(all) => (
            <ul className={styles["list"]}>
              {leftovers(all).map((p) => (
                <li key={p.id}>
                  <Leftover
                    placement={p}
                    allowed={allowed}
                    onRemove={() => setDialog({ kind: "remove", placement: p })}
                    onLeave={() => setDialog({ kind: "leave", placement: p })}
                  />
                </li>
              ))}
            </ul>
          )}
        </PageState>
      </Panel>
      <Confirm scope={scope} dialog={dialog} onClose={() => setDialog(null)} />
    </>
  );
}

function tone(p: Placement): Tone {
  if (p.state === "needs_consent") return "warn";
  return p.reason === "Refused" ? "bad" : "info";
}

function Leftover({
  placement: p,
  allowed,
  onRemove,
  onLeave,
}: {
  placement: Placement;
  allowed: boolean;
  onRemove: () => void;
  onLeave: () => void;
}) {
  const of = words.of(readable(p.domain), p.account);
  const remove = p.state === "needs_consent" ? words.remove : words.tryNow;
  const why = words.reasons[p.reason ?? ""];
  // What it says of consent names the commands for it; here there are buttons.
  const said = p.state !== "needs_consent" && p.attempts > 0 && p.message ? sentence(p.message) : "";
  return (
    <article className={styles["one"]} aria-label={of}>
      <div className="row wrap">
        <strong title={p.domain} style={{ overflowWrap: "anywhere" }}>
          {readable(p.domain)}
        </strong>
        <span className="soft">{words.at(p.account)}</span>
        <StatusBadge tone={tone(p)}>{why?.label ?? p.reason ?? p.state}</StatusBadge>
        <span className="row tight" style={{ marginInlineStart: "auto" }}>
          <Button
            variant="default"
            size="compact-xs"
            disabled={!allowed}
            aria-label={`${remove}: ${of}`}
            onClick={onRemove}
          >
            {remove}
          </Button>
          <Button
            variant="default"
            size="compact-xs"
            disabled={!allowed}
            aria-label={`${words.leave}: ${of}`}
            onClick={onLeave}
          >
            {words.leave}
          </Button>
        </span>
      </div>
      {(why?.text || said) && (
        <p className="soft">
          {why?.text} {said}
        </p>
      )}
      <p className="dim small row wrap" style={{ columnGap: 16, rowGap: 2 }}>
        <span>
          {words.since} <TimeAgo at={p.removing_since} />
        </span>
        <span>{words.attempts(p.attempts)}</span>
        <span>
          {words.next} <TimeUntil at={p.next_attempt} never={t.common.now} />
        </span>
        <span>
          {words.ends} <TimeUntil at={p.given_up_at} />
        </span>
      </p>
      <Records records={p.records} />
    </article>
  );
}

function Records({ records }: { records: string[] }) {
  if (records.length === 0) return null;
  return (
    <details>
      <summary>{words.records(records.length)}</summary>
      <ul className={`mono ${styles["records"]}`}>
        {records.map((record) => (
          <li key={record}>{record}</li>
        ))}
      </ul>
    </details>
  );
}

function Confirm({ scope, dialog, onClose }: { scope: Scope; dialog: Dialog | null; onClose: () => void }) {
  return (
    <Modal opened={dialog !== null} onClose={onClose} title={dialog ? words.dialogs[dialog.kind].title : ""}>
      {dialog && <Body scope={scope} dialog={dialog} onClose={onClose} />}
    </Modal>
  );
}

function Body({ scope, dialog, onClose }: { scope: Scope; dialog: Dialog; onClose: () => void }) {
  const { kind, placement } = dialog;
  const consent = useConsent(scope);
  const leave = useLeave(scope);
  const by = kind === "remove" ? consent : leave;
  const text = words.dialogs[kind];
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        by.mutate(placement, {
          onSuccess: () => {
            toast(text.done(readable(placement.domain)));
            onClose();
          },
        });
      }}
    >
      <p>{text.text(readable(placement.domain), placement.account)}</p>
      {placement.records.length > 0 && (
        <ul className={`mono ${styles["records"]}`} aria-label={words.records(placement.records.length)}>
          {placement.records.map((record) => (
            <li key={record}>{record}</li>
          ))}
        </ul>
      )}
      <FormEnd
        error={by.error}
        pending={by.isPending}
        onCancel={onClose}
        label={text.confirm}
        danger={kind === "remove"}
      />
    </form>
  );
}
