import { Button, Modal, Select, Textarea, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
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
import { TimeAgo, TimeUntil } from "@/ui/Time";
import { toast } from "@/ui/UndoToast";
import { type Token, tokensQuery, useCreateToken, useRevokeToken } from "../queries";
import { roleOptions } from "../roles";

export function TokensTab({ scope }: { scope: Scope }) {
  const allowed = may(scope, "developer");
  const query = useQuery({ ...tokensQuery(scope), enabled: allowed });
  const [creating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<Token | null>(null);
  const create = (
    <Button leftSection={<Icon name="plus" size={14} />} onClick={() => setCreating(true)} disabled={!allowed}>
      {t.tokens.create}
    </Button>
  );
  const columns: Column<Token>[] = [
    {
      id: "name",
      header: t.tokens.columns.name,
      cell: (token) => (
        <div className="row">
          <span style={{ fontWeight: 500 }} className="truncate">
            {token.name}
          </span>
          {token.hint && <span className="mono dim">…{token.hint}</span>}
        </div>
      ),
    },
    {
      id: "role",
      header: t.tokens.columns.role,
      cell: (token) => (
        <span className="nowrap">
          {t.settings.roles[token.role] ?? token.role}
          {token.project_id === "*" && <span className="dim"> · {t.tokens.platform}</span>}
        </span>
      ),
    },
    {
      id: "scopes",
      header: t.tokens.columns.scopes,
      hideBelow: "md",
      cell: (token) =>
        (token.scopes ?? []).length > 0 ? (
          <span className="mono">{(token.scopes ?? []).join(" ")}</span>
        ) : (
          <span className="dim">{t.tokens.all}</span>
        ),
    },
    {
      id: "used",
      header: t.tokens.columns.used,
      hideBelow: "sm",
      cell: (token) => <TimeAgo at={token.last_used_at} never={t.tokens.neverUsed} />,
    },
    {
      id: "expires",
      header: t.tokens.columns.expires,
      hideBelow: "sm",
      cell: (token) => <TimeUntil at={token.expires_at} never={t.tokens.noExpiry} />,
    },
    {
      id: "actions",
      header: t.tokens.columns.actions,
      align: "right",
      cell: (token) => (
        <Button variant="default" size="compact-xs" onClick={() => setRevoking(token)} disabled={!allowed}>
          {t.tokens.revoke}
        </Button>
      ),
    },
  ];
  return (
    <>
      <Panel title={t.tokens.title} actions={create} flush>
        {!allowed && (
          <EmptyState icon="lock" title={t.tokens.notShown}>
            {t.tokens.notShownText}
          </EmptyState>
        )}
        {allowed && (
          <PageState query={query}>
            {(tokens) =>
              tokens.length === 0 ? (
                <EmptyState icon="key" title={t.tokens.empty}>
                  {t.tokens.emptyText}
                </EmptyState>
              ) : (
                <DataTable label={t.tokens.title} columns={columns} rows={tokens} rowKey={(token) => token.id} />
              )
            }
          </PageState>
        )}
      </Panel>
      <Modal opened={creating} onClose={() => setCreating(false)} title={t.tokens.createTitle}>
        <CreateToken scope={scope} onDone={() => setCreating(false)} />
      </Modal>
      <Revoke scope={scope} token={revoking} onClose={() => setRevoking(null)} />
    </>
  );
}

function Revoke({ scope, token, onClose }: { scope: Scope; token: Token | null; onClose: () => void }) {
  const revoke = useRevokeToken(scope);
  return (
    <ConfirmByTyping
      opened={token !== null}
      onClose={onClose}
      title={t.tokens.revokeTitle(token?.name ?? "")}
      name={token?.name ?? ""}
      confirmLabel={t.tokens.revoke}
      pending={revoke.isPending}
      error={revoke.error}
      onConfirm={() => {
        if (!token) return;
        revoke.mutate(token.id, {
          onSuccess: () => {
            onClose();
            toast(t.tokens.revoked(token.name));
          },
        });
      }}
    >
      <p>{t.tokens.revokeText}</p>
    </ConfirmByTyping>
  );
}

function CreateToken({ scope, onDone }: { scope: Scope; onDone: () => void }) {
  const create = useCreateToken(scope);
  const form = useForm({
    mode: "uncontrolled",
    initialValues: { name: "", role: "developer", scopes: "", expires: "90" },
    validate: { name: (value) => (value.trim() === "" ? t.tokens.required : null) },
  });
  const landed = useLanded(form, create.error, { "/expires_at": "expires" });
  if (create.data) {
    const secret = create.data.token;
    return (
      <div className="stack">
        <Notice tone="warn" title={t.tokens.made}>
          {t.tokens.once}
        </Notice>
        <CommandLine command={secret} label={t.tokens.secret} prompt={false} />
        <p className="dim">{t.tokens.use}</p>
        <CommandLine
          command={`curl -H "Authorization: Bearer ${secret}" ${window.location.origin}/api/v1/session`}
          label={t.tokens.use}
        />
        <div className="row" style={{ justifyContent: "flex-end" }}>
          <Button onClick={onDone}>{t.common.done}</Button>
        </div>
      </div>
    );
  }
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit(({ name, role, scopes, expires }) => {
        const days = Number(expires);
        create.mutate({
          name: name.trim(),
          role,
          scopes: scopes.split(/[\s,]+/).filter((s) => s !== ""),
          ...(days > 0 ? { expires_at: new Date(Date.now() + days * 86_400_000).toISOString() } : {}),
        });
      })}
    >
      <TextInput
        label={t.tokens.name}
        description={t.tokens.nameHint}
        data-autofocus
        key={form.key("name")}
        {...form.getInputProps("name")}
      />
      <Select label={t.tokens.role} data={roleOptions(scope)} key={form.key("role")} {...form.getInputProps("role")} />
      <Textarea
        label={t.tokens.scopes}
        description={t.tokens.scopesHint}
        rows={2}
        key={form.key("scopes")}
        {...form.getInputProps("scopes")}
      />
      <Select
        label={t.tokens.expires}
        data={Object.entries(t.tokens.expiry).map(([value, label]) => ({ value, label }))}
        key={form.key("expires")}
        {...form.getInputProps("expires")}
      />
      <FormEnd {...landed} pending={create.isPending} onCancel={onDone} label={t.tokens.create} />
    </form>
  );
}
