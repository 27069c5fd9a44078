import { ActionIcon, Button, Modal, Progress } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useLayoutEffect, useRef, useState } from "react";
import { sentence } from "@/api/client";
import { duration } from "@/lib/format";
import { t } from "@/lib/strings";
import { CopyText } from "@/ui/CommandLine";
import { ConfirmByTyping } from "@/ui/ConfirmByTyping";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { Icon } from "@/ui/icons";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { Fields, Panel } from "@/ui/Panel";
import { StatusBadge, type Tone } from "@/ui/StatusBadge";
import { TimeUntil } from "@/ui/Time";
import { toast } from "@/ui/UndoToast";
import { type Authority, authoritiesQuery, useOrderAuthorities, useRemoveAuthority } from "../authorityQueries";
import styles from "../certificates.module.css";
import { AuthorityForm } from "./AuthorityForm";

type Dialog = { kind: "add" } | { kind: "edit" | "remove"; authority: Authority } | null;

/** Who can be asked for certificates now: state, account, budget, and the ways to change that. */
export function AuthoritiesTab({ admin }: { admin: boolean }) {
  const query = useQuery(authoritiesQuery());
  const [open, setOpen] = useState<string | null>(null);
  const [dialog, setDialog] = useState<Dialog>(null);
  const order = useOrderAuthorities();
  const [said, setSaid] = useState("");
  const held = useRef<string | null>(null);
  // A row that goes down is taken out and put in again, and its button loses the focus with that.
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the list stands in another order
  useLayoutEffect(() => {
    if (held.current) document.getElementById(held.current)?.focus();
    held.current = null;
  }, [query.data]);
  const close = () => setDialog(null);
  const onMove = (list: Authority[], name: string, by: -1 | 1) => {
    const names = list.filter((a) => !a.disabled).map((a) => a.name);
    const to = names.indexOf(name) + by;
    held.current = moveId(name, by);
    setSaid(t.authorities.moved(name, to + 1, names.length));
    order.mutate(names.filter((n) => n !== name).toSpliced(to, 0, name), {
      onError: (error) => toast(error.message, "bad"),
    });
  };
  const add = (
    <Button
      leftSection={<Icon name="plus" size={14} />}
      disabled={!admin}
      title={admin ? undefined : t.authorities.adminsOnly}
      onClick={() => setDialog({ kind: "add" })}
    >
      {t.authorities.add}
    </Button>
  );
  return (
    <>
      <Panel
        title={t.authorities.title}
        window={<span className="hideSm">{t.authorities.window}</span>}
        flush
        actions={add}
      >
        <PageState query={query} skeleton={<SkeletonRows rows={3} />}>
          {(list) =>
            list.length === 0 ? (
              <EmptyState icon="certificate" title={t.authorities.empty}>
                {t.authorities.emptyText}
              </EmptyState>
            ) : (
              <DataTable
                label={t.authorities.title}
                columns={[
                  ...(admin && list.filter((a) => !a.disabled).length > 1
                    ? [orderColumn(list, (name, by) => onMove(list, name, by))]
                    : []),
                  ...columnsFor(open, setOpen),
                ]}
                rows={list}
                rowKey={(a) => a.name}
                {...(open && {
                  unfolded: {
                    key: open,
                    detail: (a: Authority) => <Detail authority={a} admin={admin} onDialog={setDialog} />,
                  },
                })}
              />
            )
          }
        </PageState>
        <span role="status" className="srOnly">
          {said}
        </span>
      </Panel>
      <Modal opened={dialog?.kind === "add"} onClose={close} title={t.authorities.addTitle} size="lg">
        <AuthorityForm authority={null} others={query.data ?? []} onDone={close} />
      </Modal>
      <Modal
        opened={dialog?.kind === "edit"}
        onClose={close}
        title={dialog?.kind === "edit" ? t.authorities.editTitle(dialog.authority.name) : ""}
        size="lg"
      >
        {dialog?.kind === "edit" && (
          <AuthorityForm authority={dialog.authority} others={query.data ?? []} onDone={close} />
        )}
      </Modal>
      {dialog?.kind === "remove" && <Remove authority={dialog.authority} onClose={close} />}
    </>
  );
}

/** Whether the authority could be asked now. */
export function authorityState(a: Authority, now = new Date()): { tone: Tone; label: string; until?: string } {
  if (a.disabled) return { tone: "idle", label: t.authorities.states.disabled };
  const pause = a.pauses.find((p) => !p.subject && Date.parse(p.until) > now.getTime());
  if (pause) return { tone: "warn", label: t.authorities.states.paused, until: pause.until };
  const orders = ordersOf(a);
  if (orders && orders.max > 0 && (orders.used ?? 0) >= orders.max) {
    return { tone: "warn", label: t.authorities.states.spent };
  }
  return { tone: "ok", label: t.authorities.states.ready };
}

const ordersOf = (a: Authority) => a.limits.find((l) => l.kind === "orders");

const moveId = (name: string, by: -1 | 1) => `move-${by < 0 ? "up" : "down"}-${name}`;

/** Moves an authority up and down. At an end the button stays, so that who uses keys does not lose their place. */
function orderColumn(list: Authority[], onMove: (name: string, by: -1 | 1) => void): Column<Authority> {
  const inUse = list.filter((a) => !a.disabled);
  const button = (a: Authority, at: number, by: -1 | 1) => {
    const end = at + by < 0 || at + by >= inUse.length;
    return (
      <ActionIcon
        size={24}
        id={moveId(a.name, by)}
        aria-disabled={end}
        style={end ? { opacity: 0.35, cursor: "default" } : undefined}
        aria-label={by < 0 ? t.authorities.up(a.name) : t.authorities.down(a.name)}
        onClick={() => !end && onMove(a.name, by)}
      >
        <Icon name={by < 0 ? "chevronUp" : "chevronDown"} size={15} />
      </ActionIcon>
    );
  };
  return {
    id: "order",
    header: t.authorities.columns.order,
    width: 96,
    cell: (a) => {
      const at = inUse.indexOf(a);
      if (at < 0) return <span className="dim">–</span>;
      return (
        <span className="row tight" style={{ flexWrap: "nowrap" }}>
          <span className="tnum dim" style={{ minWidth: "1.5ch" }}>
            {at + 1}
          </span>
          {button(a, at, -1)}
          {button(a, at, 1)}
        </span>
      );
    },
  };
}

function columnsFor(open: string | null, onOpen: (name: string | null) => void): Column<Authority>[] {
  return [
    {
      id: "name",
      header: t.authorities.columns.name,
      cell: (a) => (
        <>
          <span style={{ fontWeight: 500 }}>{a.name}</span>{" "}
          <span className="dim hideSm">{new URL(a.directory).host}</span>
          {a.internal && <span className="dim"> {t.authorities.internal}</span>}
        </>
      ),
    },
    {
      id: "state",
      header: t.authorities.columns.state,
      cell: (a) => {
        const { tone, label, until } = authorityState(a);
        return (
          <span className="row wrap" style={{ gap: "0 8px" }}>
            <StatusBadge tone={tone}>{label}</StatusBadge>
            {until && (
              <span className="dim nowrap">
                <TimeUntil at={until} />
              </span>
            )}
          </span>
        );
      },
    },
    {
      id: "account",
      header: t.authorities.columns.account,
      hideBelow: "md",
      cell: (a) => <span className="soft">{a.account_uri ? t.authorities.account : t.authorities.noAccount}</span>,
    },
    { id: "budget", header: t.authorities.columns.budget, hideBelow: "sm", cell: (a) => <Budget authority={a} /> },
    {
      id: "actions",
      header: t.authorities.columns.actions,
      align: "right",
      width: 60,
      cell: (a) => (
        <ActionIcon
          size={24}
          aria-expanded={a.name === open}
          aria-label={a.name === open ? t.authorities.shut(a.name) : t.authorities.details(a.name)}
          onClick={() => onOpen(a.name === open ? null : a.name)}
        >
          <Icon name={a.name === open ? "chevronDown" : "chevronRight"} size={15} />
        </ActionIcon>
      ),
    },
  ];
}

/** How much of the orders that we allow ourselves is used up. */
function Budget({ authority }: { authority: Authority }) {
  const orders = ordersOf(authority);
  if (!orders) return <span className="dim">–</span>;
  const used = orders.used ?? 0;
  if (orders.max === 0) return <span className="soft">{t.authorities.unlimited(used)}</span>;
  const text = t.authorities.orders(used, orders.max, duration(orders.window_seconds));
  return (
    <span className={styles["budget"]}>
      <span className="tnum nowrap">{text}</span>
      <Progress value={Math.min(100, (100 * used) / orders.max)} size="sm" aria-label={text} />
    </span>
  );
}

function Detail({
  authority: a,
  admin,
  onDialog,
}: {
  authority: Authority;
  admin: boolean;
  onDialog: (dialog: Dialog) => void;
}) {
  const { fields } = t.authorities;
  const rows: [string, ReactNode][] = [[fields.directory, <CopyText key="directory" value={a.directory} />]];
  if (a.staging) rows.push([fields.staging, <CopyText key="staging" value={a.staging} />]);
  if (a.account_uri) rows.push([fields.account, <CopyText key="account" value={a.account_uri} />]);
  if (a.email) rows.push([fields.email, a.email]);
  if (a.eab_key_id) rows.push([fields.eab, a.eab_key_id]);
  if (a.profile) rows.push([fields.profile, a.profile]);
  rows.push([fields.priority, String(a.priority)]);
  if (a.limits.length > 0) {
    rows.push([
      fields.limits,
      a.limits
        .filter((l) => l.max > 0)
        .map((l) => t.authorities.limit(t.authorities.limitKinds[l.kind] ?? l.kind, l.max, duration(l.window_seconds)))
        .map((text) => <div key={text}>{text}</div>),
    ]);
  }
  if (a.pauses.length > 0) {
    rows.push([
      fields.pauses,
      a.pauses.map((p) => (
        <div key={`${p.subject} ${p.until}`}>
          {p.subject} <TimeUntil at={p.until} /> {p.reason && <span className="soft">{sentence(p.reason)}</span>}
        </div>
      )),
    ]);
  }
  return (
    <div className={styles["detail"]}>
      <div className="row">
        <Button
          variant="default"
          leftSection={<Icon name="edit" size={14} />}
          disabled={!admin}
          onClick={() => onDialog({ kind: "edit", authority: a })}
        >
          {t.authorities.edit}
        </Button>
        {a.id && (
          <Button
            variant="default"
            leftSection={<Icon name="purge" size={14} />}
            disabled={!admin}
            onClick={() => onDialog({ kind: "remove", authority: a })}
          >
            {t.authorities.remove}
          </Button>
        )}
      </div>
      <Fields rows={rows} />
    </div>
  );
}

function Remove({ authority, onClose }: { authority: Authority; onClose: () => void }) {
  const remove = useRemoveAuthority();
  return (
    <ConfirmByTyping
      opened
      onClose={onClose}
      title={t.authorities.removeTitle(authority.name)}
      name={authority.name}
      confirmLabel={t.authorities.remove}
      pending={remove.isPending}
      error={remove.error}
      onConfirm={() =>
        remove.mutate(authority, {
          onSuccess: () => {
            toast(t.authorities.removed(authority.name));
            onClose();
          },
        })
      }
    >
      <p>{t.authorities.removeText}</p>
    </ConfirmByTyping>
  );
}
