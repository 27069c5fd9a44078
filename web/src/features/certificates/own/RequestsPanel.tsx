import { ActionIcon, Button, Modal, Select, Textarea, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { may, type Scope } from "@/app/session";
import { fileName, saveFile } from "@/lib/download";
import { t } from "@/lib/strings";
import { CopyButton } from "@/ui/CopyButton";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { FormEnd } from "@/ui/FormEnd";
import { useLanded } from "@/ui/forms";
import { Icon } from "@/ui/icons";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { TimeAgo } from "@/ui/Time";
import { toast } from "@/ui/UndoToast";
import styles from "../certificates.module.css";
import { type CSR, requestsQuery, useNewRequest } from "../queries";

/** Requests for an authority of one's own: made here, signed there, brought back above. */
export function RequestsPanel({ scope, domain }: { scope: Scope; domain: string }) {
  const query = useQuery(requestsQuery(scope, domain));
  const [making, setMaking] = useState(false);
  const [open, setOpen] = useState<string | null>(null);
  const button = (
    <Button
      variant="default"
      leftSection={<Icon name="plus" size={14} />}
      disabled={!may(scope, "developer")}
      onClick={() => setMaking(true)}
    >
      {t.csr.make}
    </Button>
  );
  return (
    <Panel
      title={t.csr.title}
      window={<span className="hideSm">{t.csr.window}</span>}
      flush
      actions={(query.data ?? []).length > 0 && button}
    >
      <PageState query={query} skeleton={<SkeletonRows rows={2} />}>
        {(list) =>
          list.length === 0 ? (
            <EmptyState icon="key" title={t.csr.none} action={button}>
              {t.csr.text}
            </EmptyState>
          ) : (
            <DataTable
              label={t.csr.title}
              columns={columnsFor(open, setOpen)}
              rows={list}
              rowKey={(r) => r.id}
              {...(open && {
                unfolded: { key: open, detail: (r: CSR) => <Request domain={domain} request={r} /> },
              })}
            />
          )
        }
      </PageState>
      <Modal opened={making} onClose={() => setMaking(false)} title={t.csr.makeTitle(domain)} size="lg">
        <Form
          scope={scope}
          domain={domain}
          onCancel={() => setMaking(false)}
          onMade={(made) => {
            setMaking(false);
            setOpen(made.id);
            toast(t.csr.made);
          }}
        />
      </Modal>
    </Panel>
  );
}

function columnsFor(open: string | null, onOpen: (id: string | null) => void): Column<CSR>[] {
  return [
    {
      id: "names",
      header: t.csr.columns.names,
      cell: (r) => (
        <span className="mono" style={{ overflowWrap: "anywhere" }}>
          {r.domains.join(", ")}
        </span>
      ),
    },
    { id: "key", header: t.csr.columns.key, hideBelow: "sm", cell: (r) => keyTypeLabel(r.key_type) },
    { id: "made", header: t.csr.columns.made, align: "right", cell: (r) => <TimeAgo at={r.created_at} /> },
    {
      id: "actions",
      header: t.csr.columns.actions,
      align: "right",
      width: 90,
      cell: (r) => (
        <span className="row tight" style={{ justifyContent: "flex-end" }}>
          <CopyButton value={r.csr_pem} label={t.csr.copy} />
          <ActionIcon
            size={24}
            aria-expanded={r.id === open}
            aria-label={r.id === open ? t.csr.hide(r.id) : t.csr.show(r.id)}
            onClick={() => onOpen(r.id === open ? null : r.id)}
          >
            <Icon name={r.id === open ? "chevronDown" : "chevronRight"} size={15} />
          </ActionIcon>
        </span>
      ),
    },
  ];
}

const keyTypeLabel = (type: string) => t.certificateSettings.keyTypes[type] ?? type;

function Request({ domain, request }: { domain: string; request: CSR }) {
  return (
    <div className={styles["detail"]}>
      <pre className={`mono ${styles["request"]}`} tabIndex={0}>
        {request.csr_pem}
      </pre>
      <div className="row wrap">
        <Button
          variant="default"
          leftSection={<Icon name="download" size={14} />}
          onClick={() => saveFile(fileName(domain, "csr"), "application/pkcs10", request.csr_pem)}
        >
          {t.csr.download}
        </Button>
        <span className="dim">{t.csr.bringBack}</span>
      </div>
    </div>
  );
}

const subject = {
  "/subject/organization": "organization",
  "/subject/unit": "unit",
  "/subject/locality": "locality",
  "/subject/state": "state",
  "/subject/country": "country",
  "/key_type": "key",
} as const;

function Form({
  scope,
  domain,
  onCancel,
  onMade,
}: {
  scope: Scope;
  domain: string;
  onCancel: () => void;
  onMade: (request: CSR) => void;
}) {
  const make = useNewRequest(scope, domain);
  const form = useForm({
    mode: "controlled",
    initialValues: { domains: "", key: "p256", organization: "", unit: "", locality: "", state: "", country: "" },
    validateInputOnBlur: ["country"],
    validate: { country: (value) => (/^([A-Za-z]{2})?$/.test(value.trim()) ? null : t.csr.countryWrong) },
  });
  const landed = useLanded(form, make.error, subject);
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit((v) => {
        const holder = {
          organization: v.organization.trim(),
          unit: v.unit.trim(),
          locality: v.locality.trim(),
          state: v.state.trim(),
          country: v.country.trim().toUpperCase(),
        };
        make.mutate(
          {
            domains: v.domains.split(/[\s,]+/).filter((name) => name !== ""),
            key_type: v.key,
            subject: Object.fromEntries(Object.entries(holder).filter(([, value]) => value !== "")),
          },
          {
            onSuccess: (made) => onMade(made as CSR),
          },
        );
      })}
    >
      <Textarea
        label={t.csr.names}
        description={t.csr.namesHint}
        autosize
        minRows={2}
        maxRows={8}
        spellCheck={false}
        autoCapitalize="off"
        data-autofocus
        {...form.getInputProps("domains")}
      />
      <Select
        label={t.certificateSettings.key}
        data={Object.entries(t.certificateSettings.keyTypes)
          .filter(([value]) => value !== "ed25519")
          .map(([value, label]) => ({ value, label }))}
        allowDeselect={false}
        {...form.getInputProps("key")}
      />
      <fieldset style={{ border: 0, margin: 0, padding: 0 }}>
        <legend style={{ padding: 0, fontWeight: 600 }}>{t.csr.holder}</legend>
        <p className="dim small" style={{ marginBottom: 8 }}>
          {t.csr.holderHint}
        </p>
        <div className={styles["two"]}>
          <TextInput label={t.csr.organization} {...form.getInputProps("organization")} />
          <TextInput label={t.csr.unit} {...form.getInputProps("unit")} />
          <TextInput label={t.csr.locality} {...form.getInputProps("locality")} />
          <TextInput label={t.csr.state} {...form.getInputProps("state")} />
          <TextInput
            label={t.csr.country}
            description={t.csr.countryHint}
            maxLength={2}
            {...form.getInputProps("country")}
          />
        </div>
      </fieldset>
      <FormEnd {...landed} pending={make.isPending} onCancel={onCancel} label={t.csr.makeNow} />
    </form>
  );
}
