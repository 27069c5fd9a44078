import { ActionIcon, Button, Menu, Modal, PasswordInput, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { sentence } from "@/api/client";
import { may, type Scope } from "@/app/session";
import {
  type DNSDriver,
  type DNSProvider,
  driversQuery,
  providersQuery,
  useAddProvider,
  useDeleteProvider,
  useReplaceCredentials,
  useTestProvider,
} from "@/features/dnsproviders/queries";
import { t } from "@/lib/strings";
import { ConfirmByTyping } from "@/ui/ConfirmByTyping";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { FormEnd } from "@/ui/FormEnd";
import { fieldErrors } from "@/ui/forms";
import { Icon } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import { PageState } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { StatusBadge } from "@/ui/StatusBadge";
import { TimeAgo } from "@/ui/Time";
import { toast } from "@/ui/UndoToast";
import { Leftovers } from "./Leftovers";

type Dialog = { kind: "add" } | { kind: "replace" | "remove"; provider: DNSProvider } | null;

/** Accounts at DNS providers: keep credentials, test, replace, forget them. */
export function DNSProvidersTab({ scope }: { scope: Scope }) {
  const query = useQuery(providersQuery(scope));
  const drivers = useQuery(driversQuery());
  const [dialog, setDialog] = useState<Dialog>(null);
  const test = useTestProvider(scope);
  const close = () => setDialog(null);
  const allowed = may(scope, "developer");
  const title = (name: string) => drivers.data?.find((d) => d.name === name)?.title ?? name;
  const run = (provider: DNSProvider) =>
    test.mutate(provider, {
      onSuccess: (found) => {
        const ready = readiness(found);
        if (ready.tone === "ok") toast(t.providers.works(found.name));
        else toast(ready.message || ready.label, "bad");
      },
      onError: (error) => toast(error.message, "bad"),
    });

  const columns: Column<DNSProvider>[] = [
    {
      id: "name",
      header: t.providers.columns.name,
      sort: (p) => p.name,
      cell: (p) => <span style={{ fontWeight: 500 }}>{p.name}</span>,
    },
    { id: "driver", header: t.providers.columns.driver, hideBelow: "sm", cell: (p) => title(p.driver) },
    {
      id: "state",
      header: t.providers.columns.state,
      cell: (p) => {
        const { tone, label, message } = readiness(p);
        return (
          <span className="row wrap">
            <StatusBadge tone={tone}>{label}</StatusBadge>
            {message && <span className="dim">{sentence(message)}</span>}
          </span>
        );
      },
    },
    {
      id: "checked",
      header: t.providers.columns.checked,
      align: "right",
      hideBelow: "sm",
      cell: (p) => <TimeAgo at={p.checked_at} />,
    },
    {
      id: "actions",
      header: t.providers.columns.actions,
      align: "right",
      cell: (p) => (
        <span className="row tight" style={{ justifyContent: "flex-end" }}>
          <Button
            variant="default"
            size="compact-xs"
            disabled={!allowed}
            loading={test.isPending && test.variables?.name === p.name}
            aria-label={t.providers.testOf(p.name)}
            onClick={() => run(p)}
          >
            {t.providers.test}
          </Button>
          <Menu position="bottom-end" width={190}>
            <Menu.Target>
              <ActionIcon size={26} disabled={!allowed} aria-label={`${t.common.more}: ${p.name}`}>
                <Icon name="more" size={16} />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item onClick={() => setDialog({ kind: "replace", provider: p })}>{t.providers.replace}</Menu.Item>
              <Menu.Item color="red" onClick={() => setDialog({ kind: "remove", provider: p })}>
                {t.providers.remove}
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
        </span>
      ),
    },
  ];
  const add = (
    <Button leftSection={<Icon name="plus" size={14} />} disabled={!allowed} onClick={() => setDialog({ kind: "add" })}>
      {t.providers.add}
    </Button>
  );
  return (
    <div className="stack">
      <Panel
        title={t.providers.title}
        window={<span className="hideSm">{t.providers.window}</span>}
        flush
        actions={(query.data ?? []).length > 0 && add}
      >
        <PageState query={query}>
          {(list) =>
            list.length === 0 ? (
              <EmptyState icon="globe" title={t.providers.empty} action={add}>
                {t.providers.emptyText}
              </EmptyState>
            ) : (
              <DataTable label={t.providers.title} columns={columns} rows={list} rowKey={(p) => p.id} />
            )
          }
        </PageState>
      </Panel>
      <Leftovers scope={scope} />
      <Modal opened={dialog?.kind === "add"} onClose={close} title={t.providers.addTitle}>
        <AddForm scope={scope} drivers={drivers.data ?? []} onDone={close} onMade={run} />
      </Modal>
      <Modal
        opened={dialog?.kind === "replace"}
        onClose={close}
        title={dialog?.kind === "replace" ? t.providers.replaceTitle(dialog.provider.name) : ""}
      >
        {dialog?.kind === "replace" && (
          <ReplaceForm
            scope={scope}
            provider={dialog.provider}
            driver={drivers.data?.find((d) => d.name === dialog.provider.driver)}
            onDone={close}
            onMade={run}
          />
        )}
      </Modal>
      {dialog?.kind === "remove" && <Remove scope={scope} provider={dialog.provider} onClose={close} />}
    </div>
  );
}

/** Whether the provider took the credentials when they were used last. */
function readiness(p: DNSProvider): { tone: "ok" | "bad" | "idle"; label: string; message: string } {
  const ready = p.conditions.find((c) => c.type === "Ready");
  if (!p.checked_at || !ready || ready.status === "unknown") {
    return { tone: "idle", label: t.providers.untested, message: "" };
  }
  return ready.status === "true"
    ? { tone: "ok", label: t.providers.ready(p.zones), message: "" }
    : { tone: "bad", label: t.providers.refused, message: ready.message ?? "" };
}

/** What the forms show where it was typed. */
const placed = (pointer: string) => /^\/(name|driver|credentials\/.+)$/.test(pointer);

function Credentials({
  driver,
  values,
  onChange,
  missing,
  error,
}: {
  driver: DNSDriver;
  values: Record<string, string>;
  onChange: (values: Record<string, string>) => void;
  missing: boolean;
  error: Error | null;
}) {
  const of = fieldErrors(error);
  return driver.fields.map((field) => {
    const Input = field.secret ? PasswordInput : TextInput;
    const value = values[field.name] ?? "";
    const empty = missing && field.required && value.trim() === "";
    return (
      <Input
        key={field.name}
        label={field.required ? field.name : `${field.name} (${t.providers.optional})`}
        description={sentence(field.help)}
        value={value}
        onChange={(event) => onChange({ ...values, [field.name]: event.currentTarget.value })}
        error={empty ? t.providers.needed : of(`/credentials/${field.name}`)}
        autoComplete="off"
        spellCheck={false}
      />
    );
  });
}

const complete = (driver: DNSDriver, values: Record<string, string>) =>
  driver.fields.every((f) => !f.required || (values[f.name] ?? "").trim() !== "");

/** Only what was filled in: an empty field is one that is not given. */
const given = (values: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(values)
      .map(([k, v]) => [k, v.trim()])
      .filter(([, v]) => v !== ""),
  );

function AddForm({
  scope,
  drivers,
  onDone,
  onMade,
}: {
  scope: Scope;
  drivers: DNSDriver[];
  onDone: () => void;
  onMade: (provider: DNSProvider) => void;
}) {
  const add = useAddProvider(scope);
  const [name, setName] = useState("");
  const [chosen, setChosen] = useState<string | null>(null);
  const [values, setValues] = useState<Record<string, string>>({});
  const [tried, setTried] = useState(false);
  const driver = drivers.find((d) => d.name === chosen);
  const of = fieldErrors(add.error);
  return (
    <form
      className="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (name.trim() === "" || !driver || !complete(driver, values)) return;
        add.mutate(
          { name: name.trim(), driver: driver.name, credentials: given(values) },
          {
            onSuccess: (answer) => {
              onDone();
              onMade((answer as { provider: DNSProvider }).provider);
            },
          },
        );
      }}
    >
      <TextInput
        label={t.providers.name}
        description={t.providers.nameHint}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        error={tried && name.trim() === "" ? t.providers.nameNeeded : of("/name")}
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        data-autofocus
      />
      <Select
        label={t.providers.driver}
        data={drivers.map((d) => ({ value: d.name, label: d.title }))}
        value={chosen}
        onChange={(value) => {
          setChosen(value);
          setValues({});
        }}
        error={tried && !driver ? t.providers.driverNeeded : of("/driver")}
        searchable
      />
      {driver && <Credentials driver={driver} values={values} onChange={setValues} missing={tried} error={add.error} />}
      <p className="dim small">{t.providers.kept}</p>
      <FormEnd error={add.error} placed={placed} pending={add.isPending} onCancel={onDone} label={t.providers.save} />
    </form>
  );
}

function ReplaceForm({
  scope,
  provider,
  driver,
  onDone,
  onMade,
}: {
  scope: Scope;
  provider: DNSProvider;
  driver: DNSDriver | undefined;
  onDone: () => void;
  onMade: (provider: DNSProvider) => void;
}) {
  const replace = useReplaceCredentials(scope);
  const [values, setValues] = useState<Record<string, string>>({});
  const [tried, setTried] = useState(false);
  if (!driver) return <Notice tone="warn">{provider.driver}</Notice>;
  return (
    <form
      className="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (!complete(driver, values)) return;
        replace.mutate(
          { provider, credentials: given(values) },
          {
            onSuccess: (answer) => {
              onDone();
              onMade((answer as { provider: DNSProvider }).provider);
            },
          },
        );
      }}
    >
      <Credentials driver={driver} values={values} onChange={setValues} missing={tried} error={replace.error} />
      <p className="dim small">{t.providers.kept}</p>
      <FormEnd
        error={replace.error}
        placed={placed}
        pending={replace.isPending}
        onCancel={onDone}
        label={t.providers.save}
      />
    </form>
  );
}

function Remove({ scope, provider, onClose }: { scope: Scope; provider: DNSProvider; onClose: () => void }) {
  const remove = useDeleteProvider(scope);
  return (
    <ConfirmByTyping
      opened
      onClose={onClose}
      title={t.providers.removeTitle(provider.name)}
      name={provider.name}
      confirmLabel={t.providers.remove}
      pending={remove.isPending}
      error={remove.error}
      onConfirm={() =>
        remove.mutate(provider, {
          onSuccess: () => {
            toast(t.providers.removed(provider.name));
            onClose();
          },
        })
      }
    >
      <p>{t.providers.removeText}</p>
    </ConfirmByTyping>
  );
}
