import { ActionIcon, Button, Checkbox, Select, TextInput } from "@mantine/core";
import { useState } from "react";
import { sentence } from "@/api/client";
import { may } from "@/app/session";
import { bytes, count } from "@/lib/format";
import { readable } from "@/lib/idn";
import { t } from "@/lib/strings";
import { ChangeFlow } from "@/ui/ChangeFlow";
import { ReviewEnd } from "@/ui/FormEnd";
import { fieldErrors } from "@/ui/forms";
import { Icon } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import { Fields, Panel } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import { StatusBadge, type Tone } from "@/ui/StatusBadge";
import { TimeAgo, TimeUntil } from "@/ui/Time";
import { toast } from "@/ui/UndoToast";
import { Applied } from "../components/Applied";
import styles from "../domains.module.css";
import type { Zone } from "../zoneQueries";
import type { Direction } from "./OutPanel";
import { PeerConfig } from "./PeerConfig";
import { primaryBlock } from "./peers";
import { type Transfers, type TransferWish, useRefresh, useSetTransfers } from "./transferQueries";

type In = NonNullable<Transfers["in"]>;

/** The primaries of a secondary zone: how the copy stands, and the way to ask them now. */
export function InPanel({ scope, domain, zone, keys, transfers }: Direction) {
  const set = useSetTransfers(scope, domain, zone, transfers.revision);
  const refresh = useRefresh(scope, domain);
  const [editing, setEditing] = useState(false);
  const [leaving, setLeaving] = useState(false);
  const allowed = may(scope, "developer");
  const copy = t.zoneTransfers.in;
  const back = () => {
    setEditing(false);
    setLeaving(false);
  };
  const ask = (whole: boolean) => refresh.mutate(whole, { onSuccess: () => toast(copy.asked) });
  const keep = { ...(transfers.out && { out: transfers.out }) };
  return (
    <Panel
      title={copy.title}
      window={readable(zone.name)}
      actions={
        transfers.in &&
        !editing && (
          <>
            <Button
              variant="default"
              leftSection={<Icon name="refresh" size={14} />}
              loading={refresh.isPending && !refresh.variables}
              disabled={!allowed}
              onClick={() => ask(false)}
            >
              {copy.refresh}
            </Button>
            <Button
              variant="default"
              loading={refresh.isPending && refresh.variables}
              disabled={!allowed}
              onClick={() => ask(true)}
            >
              {copy.whole}
            </Button>
          </>
        )
      }
    >
      <ChangeFlow<TransferWish>
        environment={scope.environment}
        plan={set.plan}
        apply={(wish, reason) => set.apply.mutateAsync({ wish, reason })}
        done={(revision, again) => (
          <Applied
            scope={scope}
            revision={revision}
            onAgain={() => {
              back();
              again();
            }}
            zoneOf={domain}
          />
        )}
        form={({ review, planning, error, draft }) =>
          editing ? (
            <Form
              now={transfers.in}
              records={zone.records}
              keys={keys}
              draft={draft}
              planning={planning}
              error={error}
              allowed={allowed}
              onReview={(wish) => review({ ...keep, ...wish })}
              onClose={back}
            />
          ) : (
            <div className="stack">
              {transfers.in ? (
                <Taken zone={zone} transfers={transfers} from={transfers.in} />
              ) : (
                <p className="soft">{copy.offText}</p>
              )}
              <Refused error={refresh.error} />
              {leaving && (
                <form
                  className="stack"
                  onSubmit={(event) => {
                    event.preventDefault();
                    review({ ...keep, consent: true });
                  }}
                >
                  <Notice tone="warn">{copy.consentOut}</Notice>
                  <ReviewEnd error={error} pending={planning} label={t.zoneTransfers.review} onCancel={back} />
                </form>
              )}
              {!leaving && (
                <div className="row wrap">
                  <Button variant="default" disabled={!allowed} onClick={() => setEditing(true)}>
                    {transfers.in ? copy.change : copy.start}
                  </Button>
                  {transfers.in && (
                    <Button variant="outline" color="red" disabled={!allowed} onClick={() => setLeaving(true)}>
                      {copy.stop}
                    </Button>
                  )}
                </div>
              )}
            </div>
          )
        }
      />
    </Panel>
  );
}

const tones: Record<string, Tone> = { waiting: "info", current: "ok", failing: "warn", expired: "bad" };

function Taken({ zone, transfers, from }: { zone: Zone; transfers: Transfers; from: In }) {
  const text = t.zoneTransfers.in;
  const copy = transfers.copy;
  const state = copy?.state ?? "waiting";
  const rows: Parameters<typeof Fields>[0]["rows"] = [
    [
      text.state,
      <span key="state" className={styles["wrapStatus"]}>
        <StatusBadge tone={tones[state] ?? "idle"}>{text.states[state] ?? state}</StatusBadge>
      </span>,
    ],
    [
      text.primaries,
      from.primaries.map((p) => (
        <div key={p.address}>
          <span className="mono">{p.address}</span>{" "}
          <span className="soft">{p.key ? text.with(p.key) : text.unsigned}</span>
        </div>
      )),
    ],
    [text.signing, zone.signed ? text.signedHere : text.presigned],
  ];
  if (copy && copy.serial > 0) {
    rows.push(
      [
        text.theirs,
        <span key="theirs" className="mono">
          {copy.serial}
        </span>,
      ],
      [
        text.ours,
        <span key="ours" className="mono">
          {transfers.serial || "–"}
        </span>,
      ],
      [text.records, count(copy.records)],
    );
  }
  if (copy?.changed_at) {
    rows.push([
      text.last,
      <span key="last">
        <TimeAgo at={copy.changed_at} />{" "}
        <span className="soft">{text.lastText(copy.how ?? "", copy.primary ?? "", bytes(copy.bytes ?? 0))}</span>
      </span>,
    ]);
  }
  if (copy?.checked_at) rows.push([text.checked, <TimeAgo key="checked" at={copy.checked_at} />]);
  if (copy?.tried_at && copy.failures) rows.push([text.tried, <TimeAgo key="tried" at={copy.tried_at} />]);
  if (copy?.next_attempt) rows.push([text.next, <TimeUntil key="next" at={copy.next_attempt} />]);
  if (copy?.expires_at) rows.push([text.expires, <TimeUntil key="expires" at={copy.expires_at} />]);
  return (
    <>
      {copy?.error && (
        <Notice tone={state === "expired" ? "bad" : "warn"} title={text.failures(copy.failures ?? 1)}>
          {sentence(copy.error)} {copy.fix && sentence(copy.fix)}
        </Notice>
      )}
      <Fields rows={rows} />
      <PeerConfig
        title={t.zoneTransfers.peer.inTitle}
        text={from.primaries[0]?.key ? t.zoneTransfers.peer.inText : t.zoneTransfers.peer.inNoKey}
        block={(server) => primaryBlock(server, zone.name, from.primaries[0]?.key ?? "")}
      />
    </>
  );
}

type Row = { id: number; address: string; key: string };
let rowsMade = 0;
const newRow = (address = "", key = ""): Row => ({ id: ++rowsMade, address, key });

function Form({
  now,
  records,
  keys,
  draft,
  planning,
  error,
  allowed,
  onReview,
  onClose,
}: {
  now: In | undefined;
  records: number;
  keys: string[];
  draft: TransferWish | null;
  planning: boolean;
  error: Error | null;
  allowed: boolean;
  onReview: (wish: TransferWish) => void;
  onClose: () => void;
}) {
  const text = t.zoneTransfers.in;
  const start = (draft?.in ?? now)?.primaries;
  const [rows, setRows] = useState<Row[]>(() => start?.map((p) => newRow(p.address, p.key)) ?? [newRow()]);
  const [consent, setConsent] = useState(draft?.consent ?? false);
  const [tried, setTried] = useState(false);
  const found = fieldErrors(error);
  const change = (id: number, next: Partial<Row>) => setRows(rows.map((r) => (r.id === id ? { ...r, ...next } : r)));
  return (
    <form
      className="stack"
      style={{ maxWidth: 640 }}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (rows.some((r) => r.address.trim() === "")) return;
        onReview({
          in: { primaries: rows.map((r) => ({ address: r.address.trim(), ...(r.key && { key: r.key }) })) },
          ...(consent && { consent }),
        });
      }}
    >
      {rows.map((row, i) => (
        <fieldset key={row.id} style={{ border: 0, margin: 0, padding: 0 }}>
          <legend style={{ padding: 0, fontWeight: 500, marginBottom: 4 }}>{text.primaryTitle(i + 1)}</legend>
          <div className="row wrap" style={{ alignItems: "flex-start" }}>
            <TextInput
              label={text.address}
              description={text.addressHint}
              style={{ flex: "1 1 240px" }}
              value={row.address}
              onChange={(event) => change(row.id, { address: event.currentTarget.value })}
              error={tried && row.address.trim() === "" ? text.addressNeeded : found(`/in/primaries/${i}/address`)}
              autoCapitalize="off"
              autoComplete="off"
              spellCheck={false}
            />
            <Select
              label={text.key}
              description={t.zoneTransfers.keys.title}
              style={{ flex: "1 1 200px" }}
              data={[{ value: "", label: text.noKey }, ...[...new Set([...keys, row.key])].filter(Boolean)]}
              value={row.key}
              onChange={(value) => change(row.id, { key: value ?? "" })}
              allowDeselect={false}
              error={found(`/in/primaries/${i}/key`)}
            />
            {rows.length > 1 && (
              <ActionIcon
                size={30}
                style={{ marginTop: 38 }}
                aria-label={text.drop(i + 1)}
                onClick={() => setRows(rows.filter((r) => r.id !== row.id))}
              >
                <Icon name="close" size={15} />
              </ActionIcon>
            )}
          </div>
        </fieldset>
      ))}
      <div>
        <Button
          variant="subtle"
          size="compact-sm"
          leftSection={<Icon name="plus" size={13} />}
          disabled={rows.length >= 8}
          onClick={() => setRows([...rows, newRow()])}
        >
          {text.add}
        </Button>
      </div>
      {!now && records > 0 && (
        <Checkbox
          size="xs"
          label={text.consentIn}
          checked={consent}
          onChange={(event) => setConsent(event.currentTarget.checked)}
        />
      )}
      <ReviewEnd
        error={error}
        placed={(pointer) => /^\/in\/primaries\/\d+\/(address|key)$/.test(pointer)}
        pending={planning}
        disabled={!allowed}
        label={t.zoneTransfers.review}
        onCancel={onClose}
      />
    </form>
  );
}
