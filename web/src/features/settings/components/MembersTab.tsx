import { Button, Modal, Select, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { projectTitle } from "@/app/ScopeSwitch";
import { may, type Scope, useSession } from "@/app/session";
import { emailProblem } from "@/lib/account";
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
import { StatusBadge } from "@/ui/StatusBadge";
import { TimeAgo, TimeUntil } from "@/ui/Time";
import { toast } from "@/ui/UndoToast";
import { type Member, membersQuery, useInvite, useRemoveMember, useSetRole } from "../queries";
import { roleOptions, shortRoleOptions } from "../roles";

export function MembersTab({ scope }: { scope: Scope }) {
  const { user } = useSession();
  const query = useQuery(membersQuery(scope.project.id));
  const setRole = useSetRole(scope.project.id);
  const [inviting, setInviting] = useState(false);
  const [removing, setRemoving] = useState<Member | null>(null);
  const admin = may(scope, "admin");
  const columns: Column<Member>[] = [
    {
      id: "who",
      header: t.members.columns.who,
      cell: (m) => (
        <div>
          <span style={{ fontWeight: 500 }}>{m.name || m.email}</span>
          {m.id === user?.id && <span className="dim"> · {t.members.you}</span>}
          {m.name && <div className="dim small">{m.email}</div>}
        </div>
      ),
    },
    {
      id: "role",
      header: t.members.columns.role,
      width: 150,
      cell: (m) =>
        admin && m.state === "active" && m.id !== user?.id ? (
          <Select
            size="xs"
            aria-label={t.members.roleOf(m.email)}
            data={shortRoleOptions(scope)}
            value={m.role}
            onChange={(role) =>
              role &&
              setRole.mutate(
                { member: m, role },
                {
                  onSuccess: () => toast(t.members.roleSaved(m.name || m.email, t.settings.roles[role] ?? role)),
                  onError: (error) => toast(error.message, "bad"),
                },
              )
            }
          />
        ) : (
          <span>{t.settings.roles[m.role] ?? m.role}</span>
        ),
    },
    {
      id: "state",
      header: t.members.columns.state,
      hideBelow: "sm",
      cell: (m) =>
        m.state === "active" ? (
          <StatusBadge tone="ok">{t.members.active}</StatusBadge>
        ) : (
          <span className="row tight">
            <StatusBadge tone="idle">{t.members.pending}</StatusBadge>
            <span className="dim">
              <TimeUntil at={m.expires_at} />
            </span>
          </span>
        ),
    },
    { id: "since", header: t.members.columns.since, hideBelow: "sm", cell: (m) => <TimeAgo at={m.since} /> },
    {
      id: "actions",
      header: t.members.columns.actions,
      align: "right",
      cell: (m) => (
        <Button
          variant="default"
          size="compact-xs"
          disabled={!admin || m.id === user?.id}
          onClick={() => setRemoving(m)}
        >
          {m.state === "active" ? t.members.remove : t.members.withdraw}
        </Button>
      ),
    },
  ];
  return (
    <>
      <Panel
        title={t.members.title(projectTitle(scope.project))}
        flush
        actions={
          <Button leftSection={<Icon name="plus" size={14} />} onClick={() => setInviting(true)} disabled={!admin}>
            {t.members.invite}
          </Button>
        }
      >
        <PageState query={query}>
          {(members) =>
            members.length === 0 ? (
              <EmptyState icon="user" title={t.members.empty}>
                {t.members.emptyText}
              </EmptyState>
            ) : (
              <DataTable
                label={t.members.title(projectTitle(scope.project))}
                columns={columns}
                rows={members}
                rowKey={(m) => m.id}
              />
            )
          }
        </PageState>
      </Panel>
      <Modal opened={inviting} onClose={() => setInviting(false)} title={t.members.inviteTitle}>
        <Invite scope={scope} onDone={() => setInviting(false)} />
      </Modal>
      <Remove scope={scope} member={removing} onClose={() => setRemoving(null)} />
    </>
  );
}

function Remove({ scope, member, onClose }: { scope: Scope; member: Member | null; onClose: () => void }) {
  const remove = useRemoveMember(scope.project.id);
  const who = member?.email ?? "";
  return (
    <ConfirmByTyping
      opened={member !== null}
      onClose={onClose}
      title={t.members.removeTitle(who)}
      name={who}
      confirmLabel={t.members.remove}
      pending={remove.isPending}
      error={remove.error}
      onConfirm={() =>
        member &&
        remove.mutate(member, {
          onSuccess: () => {
            onClose();
            toast(t.members.removed(who));
          },
        })
      }
    >
      <p>{t.members.removeText}</p>
    </ConfirmByTyping>
  );
}

function Invite({ scope, onDone }: { scope: Scope; onDone: () => void }) {
  const invite = useInvite(scope.project.id);
  const form = useForm({
    mode: "uncontrolled",
    initialValues: { email: "", name: "", role: "developer" },
    validateInputOnBlur: ["email"],
    validate: { email: emailProblem },
  });
  const landed = useLanded(form, invite.error);
  if (invite.data) {
    return (
      <div className="stack">
        <Notice tone="ok" title={t.members.invited}>
          {t.members.linkText(invite.data.member.email)}
        </Notice>
        <CommandLine command={invite.data.link} label={t.members.inviteLink} prompt={false} />
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
      onSubmit={form.onSubmit(({ email, name, role }) =>
        invite.mutate({ email: email.trim(), role, ...(name.trim() ? { name: name.trim() } : {}) }),
      )}
    >
      <TextInput
        label={t.members.email}
        type="email"
        data-autofocus
        key={form.key("email")}
        {...form.getInputProps("email")}
      />
      <TextInput
        label={`${t.members.name} (${t.login.optional})`}
        key={form.key("name")}
        {...form.getInputProps("name")}
      />
      <Select label={t.members.role} data={roleOptions(scope)} key={form.key("role")} {...form.getInputProps("role")} />
      <FormEnd {...landed} pending={invite.isPending} onCancel={onDone} label={t.members.invite} />
    </form>
  );
}
