import { Button, MultiSelect, Textarea } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { sentence } from "@/api/client";
import { may, type Scope } from "@/app/session";
import { edgesQuery } from "@/features/edges/queries";
import { readable } from "@/lib/idn";
import { t } from "@/lib/strings";
import { ChangeFlow } from "@/ui/ChangeFlow";
import { CommandLine, CopyText } from "@/ui/CommandLine";
import { ReviewEnd } from "@/ui/FormEnd";
import { machineText, useLanded } from "@/ui/forms";
import { Fields, Panel } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import { StatusBadge, type Tone } from "@/ui/StatusBadge";
import { Applied } from "../components/Applied";
import styles from "../domains.module.css";
import type { Zone } from "../zoneQueries";
import { PeerConfig } from "./PeerConfig";
import { readAddress, secondaryBlock } from "./peers";
import { type Transfers, type TransferWish, useSetTransfers } from "./transferQueries";

export type Direction = { scope: Scope; domain: string; zone: Zone; keys: string[]; transfers: Transfers };

/** Secondaries: with which keys, from where, and whom the edges tell of changes. */
export function OutPanel({ scope, domain, zone, keys, transfers }: Direction) {
  const set = useSetTransfers(scope, domain, zone, transfers.revision);
  const [editing, setEditing] = useState(false);
  const copy = t.zoneTransfers.out;
  return (
    <Panel title={copy.title} window={readable(zone.name)}>
      <ChangeFlow<TransferWish>
        environment={scope.environment}
        plan={set.plan}
        apply={(wish, reason) => set.apply.mutateAsync({ wish, reason })}
        done={(revision, again) => (
          <Applied
            scope={scope}
            revision={revision}
            onAgain={() => {
              setEditing(false);
              again();
            }}
            zoneOf={domain}
          />
        )}
        form={({ review, planning, error, draft }) =>
          editing ? (
            <Form
              transfers={transfers}
              keys={keys}
              draft={draft}
              planning={planning}
              error={error}
              allowed={may(scope, "developer")}
              onReview={review}
              onClose={() => setEditing(false)}
            />
          ) : (
            <div className="stack">
              {transfers.out ? (
                <Given zone={zone} transfers={transfers} out={transfers.out} />
              ) : (
                <p className="soft">{copy.offText}</p>
              )}
              <div className="row wrap">
                <Button variant="default" disabled={!may(scope, "developer")} onClick={() => setEditing(true)}>
                  {transfers.out ? copy.change : copy.start}
                </Button>
                {transfers.out && (
                  <Button
                    variant="outline"
                    color="red"
                    loading={planning}
                    disabled={!may(scope, "developer")}
                    onClick={() => review({ ...(transfers.in && { in: transfers.in }) })}
                  >
                    {copy.stop}
                  </Button>
                )}
              </div>
              <Refused error={error} />
            </div>
          )
        }
      />
    </Panel>
  );
}

function outState(transfers: Transfers): { tone: Tone; label: string; message: string } {
  const shared = transfers.conditions.find((c) => c.type === "Shared");
  const copy = t.zoneTransfers.out;
  if (!shared || shared.status === "unknown") return { tone: "info", label: copy.waiting, message: "" };
  if (shared.status === "true") return { tone: "ok", label: copy.given, message: "" };
  return { tone: "bad", label: copy.left, message: shared.message ?? "" };
}

function Given({ zone, transfers, out }: { zone: Zone; transfers: Transfers; out: NonNullable<Transfers["out"]> }) {
  const copy = t.zoneTransfers.out;
  const edges = useQuery(edgesQuery());
  const addresses = (edges.data?.edges ?? []).flatMap((e) => (e.dns ? [readAddress(e.dns)] : []));
  const state = outState(transfers);
  const notify = out.notify ?? [];
  const allow = out.allow ?? [];
  return (
    <>
      <Fields
        rows={[
          [
            copy.state,
            <span key="state" className={`row wrap ${styles["wrapStatus"]}`}>
              <StatusBadge tone={state.tone}>{state.label}</StatusBadge>
              {state.message && <span className="soft">{sentence(state.message)}</span>}
            </span>,
          ],
          [copy.serial, transfers.serial > 0 ? <CopyText key="serial" value={String(transfers.serial)} /> : "–"],
          [copy.keys, <Lines key="keys" of={out.keys} />],
          [copy.allow, allow.length > 0 ? <Lines key="allow" of={allow} /> : copy.anyone],
          [copy.notify, notify.length > 0 ? <Lines key="notify" of={notify} /> : copy.nobody],
        ]}
      />
      {notify.length > 0 && (
        <div className="stack tight">
          <p className="dim small">{copy.seen}</p>
          {notify.map((text) => {
            const { host, port } = readAddress(text);
            const where = port === "53" ? host : `${host} -p ${port}`;
            return (
              <CommandLine key={text} command={`dig @${where} ${zone.name} SOA +short`} label={copy.seenHow(text)} />
            );
          })}
        </div>
      )}
      <PeerConfig
        title={t.zoneTransfers.peer.outTitle}
        text={t.zoneTransfers.peer.outText}
        note={addresses.length === 0 ? t.zoneTransfers.peer.outNoAddress : ""}
        block={(server) =>
          secondaryBlock(
            server,
            zone.name,
            out.keys[0] ?? "",
            addresses.length > 0 ? addresses : [{ host: "EDGE", port: "53" }],
          )
        }
      />
    </>
  );
}

export function Lines({ of }: { of: string[] }) {
  return of.map((line) => (
    <div key={line} className="mono" style={{ overflowWrap: "anywhere" }}>
      {line}
    </div>
  ));
}

const lines = (text: string) => text.split(/[\s,]+/).filter((line) => line !== "");

function Form({
  transfers,
  keys,
  draft,
  planning,
  error,
  allowed,
  onReview,
  onClose,
}: {
  transfers: Transfers;
  keys: string[];
  draft: TransferWish | null;
  planning: boolean;
  error: Error | null;
  allowed: boolean;
  onReview: (wish: TransferWish) => void;
  onClose: () => void;
}) {
  const copy = t.zoneTransfers.out;
  const start = draft?.out ?? transfers.out;
  const form = useForm({
    mode: "controlled",
    initialValues: {
      keys: start?.keys ?? [],
      allow: (start?.allow ?? []).join("\n"),
      notify: (start?.notify ?? []).join("\n"),
    },
    validate: { keys: (value) => (value.length === 0 ? copy.keysNeeded : null) },
  });
  const landed = useLanded(form, error, { "/out/keys": "keys", "/out/allow": "allow", "/out/notify": "notify" });
  const area = {
    autosize: true,
    minRows: 2,
    maxRows: 8,
    spellCheck: false,
    autoCapitalize: "off",
    styles: machineText,
  };
  return (
    <form
      className="stack"
      style={{ maxWidth: 640 }}
      noValidate
      onSubmit={form.onSubmit((v) => {
        const allow = lines(v.allow);
        const notify = lines(v.notify);
        onReview({
          out: { keys: v.keys, ...(allow.length > 0 && { allow }), ...(notify.length > 0 && { notify }) },
          ...(transfers.in && { in: transfers.in }),
        });
      })}
    >
      <MultiSelect
        label={copy.keysLabel}
        description={keys.length === 0 ? copy.keysNone : copy.keysHint}
        data={[...new Set([...keys, ...(start?.keys ?? [])])]}
        disabled={keys.length === 0 && (start?.keys ?? []).length === 0}
        {...form.getInputProps("keys")}
      />
      <Textarea label={copy.allowLabel} description={copy.allowHint} {...area} {...form.getInputProps("allow")} />
      <Textarea label={copy.notifyLabel} description={copy.notifyHint} {...area} {...form.getInputProps("notify")} />
      <ReviewEnd {...landed} pending={planning} disabled={!allowed} label={t.zoneTransfers.review} onCancel={onClose} />
    </form>
  );
}
