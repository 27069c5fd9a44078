import { Button, Modal, PasswordInput, Select, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { may, type Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { CommandLine } from "@/ui/CommandLine";
import { ConfirmByTyping } from "@/ui/ConfirmByTyping";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { FormEnd } from "@/ui/FormEnd";
import { useLanded } from "@/ui/forms";
import { Icon } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import { PageState } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import { StatusBadge } from "@/ui/StatusBadge";
import { TimeAgo } from "@/ui/Time";
import { toast } from "@/ui/UndoToast";
import { PeerConfig } from "./PeerConfig";
import { keyBlock } from "./peers";
import { type TSIGKey, tsigKeysQuery, useMakeKey, useRemoveKey, useTakeSecret } from "./transferQueries";

/** The keys that transfers are proven with: made, shown once, removed. */
export function KeysPanel({ scope, query, zone }: { scope: Scope; query: UseQueryResult<TSIGKey[]>; zone: string }) {
  const copy = t.zoneTransfers.keys;
  const [making, setMaking] = useState(false);
  const [removing, setRemoving] = useState<TSIGKey | null>(null);
  const allowed = may(scope, "developer");
  const columns: Column<TSIGKey>[] = [
    {
      id: "name",
      header: copy.columns.name,
      cell: (k) => (
        <span className="mono" style={{ overflowWrap: "anywhere" }}>
          {k.name}
        </span>
      ),
    },
    { id: "algorithm", header: copy.columns.algorithm, hideBelow: "sm", cell: (k) => k.algorithm },
    {
      id: "state",
      header: copy.columns.state,
      cell: (k) => <StatusBadge tone={k.ready ? "ok" : "info"}>{k.ready ? copy.ready : copy.pending}</StatusBadge>,
    },
    {
      id: "made",
      header: copy.columns.made,
      align: "right",
      hideBelow: "sm",
      cell: (k) => <TimeAgo at={k.made_at} />,
    },
    {
      id: "actions",
      header: copy.columns.actions,
      align: "right",
      cell: (k) => (
        <Button
          variant="default"
          size="compact-xs"
          disabled={!allowed}
          aria-label={copy.removeOf(k.name)}
          onClick={() => setRemoving(k)}
        >
          {copy.remove}
        </Button>
      ),
    },
  ];
  const make = (
    <Button leftSection={<Icon name="plus" size={14} />} disabled={!allowed} onClick={() => setMaking(true)}>
      {copy.make}
    </Button>
  );
  return (
    <>
      <Panel
        title={copy.title}
        window={<span className="hideSm">{copy.window}</span>}
        flush
        actions={(query.data ?? []).length > 0 && make}
      >
        <PageState query={query}>
          {(list) =>
            list.length === 0 ? (
              <EmptyState icon="key" title={copy.empty} action={make}>
                {copy.emptyText}
              </EmptyState>
            ) : (
              <DataTable label={copy.title} columns={columns} rows={list} rowKey={(k) => k.id} />
            )
          }
        </PageState>
      </Panel>
      <Modal size="lg" opened={making} onClose={() => setMaking(false)} title={copy.make}>
        <NewKey scope={scope} zone={zone} onDone={() => setMaking(false)} />
      </Modal>
      {removing && <Remove scope={scope} tsig={removing} onClose={() => setRemoving(null)} />}
    </>
  );
}

const algorithms = ["hmac-sha256", "hmac-sha384", "hmac-sha512"];

function NewKey({ scope, zone, onDone }: { scope: Scope; zone: string; onDone: () => void }) {
  const copy = t.zoneTransfers.keys;
  const make = useMakeKey(scope);
  const form = useForm({
    mode: "controlled",
    initialValues: { name: `transfer.${zone}`, algorithm: "hmac-sha256", secret: "", comment: "" },
    validate: { name: (value) => (value.trim() === "" ? copy.nameNeeded : null) },
  });
  const landed = useLanded(form, make.error);
  if (make.data) return <Made scope={scope} made={make.data} given={form.values.secret !== ""} onDone={onDone} />;
  const quiet = { autoCapitalize: "off", autoComplete: "off", spellCheck: false } as const;
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit((v) =>
        make.mutate({
          name: v.name.trim(),
          algorithm: v.algorithm,
          ...(v.secret.trim() && { secret: v.secret.trim() }),
          ...(v.comment.trim() && { comment: v.comment.trim() }),
        }),
      )}
    >
      <TextInput
        label={copy.name}
        description={copy.nameHint}
        {...quiet}
        data-autofocus
        {...form.getInputProps("name")}
      />
      <Select label={copy.algorithm} data={algorithms} allowDeselect={false} {...form.getInputProps("algorithm")} />
      <PasswordInput
        label={`${copy.secret} (${t.login.optional})`}
        description={copy.secretHint}
        autoComplete="off"
        {...form.getInputProps("secret")}
      />
      <TextInput label={`${copy.comment} (${t.login.optional})`} maxLength={500} {...form.getInputProps("comment")} />
      <FormEnd {...landed} pending={make.isPending} onCancel={onDone} label={copy.make} />
    </form>
  );
}

/** A key just made: its secret, this once, as the other side's configuration has it. */
function Made({ scope, made, given, onDone }: { scope: Scope; made: TSIGKey; given: boolean; onDone: () => void }) {
  const copy = t.zoneTransfers.keys;
  const keys = useQuery(tsigKeysQuery(scope));
  const take = useTakeSecret(scope);
  const ready = keys.data?.find((k) => k.name === made.name)?.ready ?? made.ready;
  const owner = may(scope, "owner");
  const wanted = ready && owner && !given;
  const { mutate, isIdle } = take;
  useEffect(() => {
    if (wanted && isIdle) mutate(made.name);
  }, [wanted, isIdle, mutate, made.name]);
  return (
    <div className="stack">
      {take.data ? (
        <>
          <Notice tone="warn" title={copy.made}>
            {copy.once}
          </Notice>
          <CommandLine command={take.data.secret} label={copy.secret} prompt={false} />
          <PeerConfig
            title={take.data.name}
            text=""
            label={t.zoneTransfers.peer.key}
            block={(server) => keyBlock(server, take.data)}
          />
        </>
      ) : given ? (
        <Notice tone="ok">{copy.taken}</Notice>
      ) : !owner ? (
        <>
          <Notice tone="ok">{copy.ownersOnly}</Notice>
          <CommandLine command={`edgewright dns tsig export ${made.name}`} label={copy.secret} />
        </>
      ) : take.error ? (
        <Refused error={take.error} />
      ) : (
        <StatusBadge tone="info">{copy.making}</StatusBadge>
      )}
      <div className="row" style={{ justifyContent: "flex-end" }}>
        <Button onClick={onDone}>{t.common.done}</Button>
      </div>
    </div>
  );
}

function Remove({ scope, tsig, onClose }: { scope: Scope; tsig: TSIGKey; onClose: () => void }) {
  const copy = t.zoneTransfers.keys;
  const remove = useRemoveKey(scope);
  return (
    <ConfirmByTyping
      opened
      onClose={onClose}
      title={copy.removeTitle(tsig.name)}
      name={tsig.name}
      confirmLabel={copy.remove}
      pending={remove.isPending}
      error={remove.error}
      onConfirm={() =>
        remove.mutate(tsig, {
          onSuccess: () => {
            toast(copy.removed(tsig.name));
            onClose();
          },
        })
      }
    >
      <p>{copy.removeText}</p>
    </ConfirmByTyping>
  );
}
