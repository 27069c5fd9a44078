import { ActionIcon, Button, Checkbox, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Schemas } from "@/api/client";
import { may, type Scope } from "@/app/session";
import { readOrigin } from "@/lib/domainName";
import { duration } from "@/lib/format";
import { t } from "@/lib/strings";
import { ChangeFlow } from "@/ui/ChangeFlow";
import { CopyText } from "@/ui/CommandLine";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { Icon } from "@/ui/icons";
import { PageState } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import styles from "../domains.module.css";
import { type CDN, cdnQuery, type Domain, type ReplaceCDN, useChangeCDN } from "../queries";
import { Applied } from "./Applied";

type Origin = Schemas["Origin"];
type Rule = Schemas["CacheRule"];

/** Where the content comes from, and how it is cached. */
export function OriginTab({ scope, domain }: { scope: Scope; domain: Domain }) {
  const query = useQuery(cdnQuery(scope, domain.cdn));
  return (
    <PageState query={query}>
      {(cdn) => (
        <div className="stack">
          <Origins scope={scope} cdn={cdn} />
          <Rules rules={cdn.cache_rules} />
        </div>
      )}
    </PageState>
  );
}

const columns: Column<Origin>[] = [
  {
    id: "name",
    header: t.origin.name,
    cell: (o) => <span style={{ fontWeight: 500 }}>{o.name}</span>,
  },
  { id: "url", header: t.origin.url, cell: (o) => <CopyText value={o.url} /> },
  {
    id: "host",
    header: t.origin.host,
    hideBelow: "sm",
    cell: (o) =>
      o.host_header ? (
        <span className="mono">{o.host_header}</span>
      ) : (
        <span className="dim">{t.origin.hostDefault}</span>
      ),
  },
  {
    id: "tls",
    header: t.origin.tls,
    hideBelow: "sm",
    cell: (o) =>
      o.url.startsWith("https:") ? (
        o.skip_verify ? (
          t.origin.skipped
        ) : (
          t.origin.verify
        )
      ) : (
        <span className="dim">{t.origin.plain}</span>
      ),
  },
];

function Origins({ scope, cdn }: { scope: Scope; cdn: CDN }) {
  const [editing, setEditing] = useState(false);
  const change = useChangeCDN(scope, cdn);
  const shared = t.origin.shared(cdn.domains.length);
  return (
    <Panel
      title={t.origin.title}
      window={shared}
      flush={!editing}
      actions={
        editing ? (
          <Button variant="default" onClick={() => setEditing(false)}>
            {t.common.close}
          </Button>
        ) : (
          <Button
            variant="default"
            leftSection={<Icon name="edit" size={14} />}
            onClick={() => setEditing(true)}
            disabled={!may(scope, "developer")}
          >
            {t.origin.edit}
          </Button>
        )
      }
    >
      {editing ? (
        <ChangeFlow<ReplaceCDN>
          environment={scope.environment}
          plan={change.plan}
          apply={async (next, reason) => (await change.apply.mutateAsync({ next, reason })).revision}
          done={(revision, again) => <Applied scope={scope} revision={revision} onAgain={again} />}
          form={({ review, planning, error, draft }) => (
            <OriginForm cdn={cdn} draft={draft} onReview={review} planning={planning} error={error} />
          )}
        />
      ) : cdn.origins.length === 0 ? (
        <EmptyState icon="layers" title={t.origin.missing} />
      ) : (
        <DataTable label={t.origin.title} columns={columns} rows={cdn.origins} rowKey={(o) => `${o.name} ${o.url}`} />
      )}
    </Panel>
  );
}

function OriginForm({
  cdn,
  draft,
  onReview,
  planning,
  error,
}: {
  cdn: CDN;
  draft: ReplaceCDN | null;
  onReview: (next: ReplaceCDN) => void;
  planning: boolean;
  error: Error | null;
}) {
  const form = useForm({
    mode: "controlled",
    initialValues: {
      origins: (draft?.origins ?? cdn.origins).map((o, i) => ({
        key: `${i} ${o.name ?? ""}`,
        name: o.name ?? "",
        url: o.url,
        host_header: o.host_header ?? "",
        skip_verify: o.skip_verify ?? false,
        // What this form does not edit is kept as it is.
        rest: o,
      })),
    },
    validateInputOnBlur: true,
    validate: {
      origins: {
        name: (value, all) => {
          if (value.trim() === "") return t.login.required;
          return all.origins.filter((o) => o.name.trim() === value.trim()).length > 1 ? t.origin.duplicate : null;
        },
        url: (value) => {
          const read = readOrigin(value);
          return read.ok ? null : read.problem;
        },
      },
    },
  });
  const rows = form.values.origins;
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit(({ origins }) =>
        onReview({
          origins: origins.map((o): Origin => {
            const { host_header: _host, skip_verify: _skip, ...rest } = o.rest;
            const read = readOrigin(o.url);
            return {
              ...rest,
              name: o.name.trim(),
              url: read.ok ? read.url : o.url,
              ...(o.host_header.trim() ? { host_header: o.host_header.trim() } : {}),
              ...(o.skip_verify ? { skip_verify: true } : {}),
            };
          }),
          cache_rules: cdn.cache_rules,
          timeouts: cdn.timeouts,
          max_body_bytes: cdn.max_body_bytes,
        }),
      )}
    >
      {rows.map((origin, i) => (
        <div key={origin.key} className="stack tight">
          <div className={styles["originRow"]}>
            <TextInput label={t.origin.name} {...form.getInputProps(`origins.${i}.name`)} />
            <TextInput
              label={t.origin.url}
              inputMode="url"
              spellCheck={false}
              {...form.getInputProps(`origins.${i}.url`)}
            />
            <TextInput
              label={t.origin.host}
              placeholder={t.origin.hostDefault}
              spellCheck={false}
              {...form.getInputProps(`origins.${i}.host_header`)}
            />
            <ActionIcon
              size={30}
              mb={2}
              aria-label={t.origin.removeOne(origin.name || `${i + 1}`)}
              disabled={rows.length === 1}
              onClick={() => form.removeListItem("origins", i)}
            >
              <Icon name="close" size={15} />
            </ActionIcon>
          </div>
          {origin.url.trim().startsWith("https:") && (
            <Checkbox
              size="xs"
              label={t.origin.skipVerify}
              {...form.getInputProps(`origins.${i}.skip_verify`, { type: "checkbox" })}
            />
          )}
        </div>
      ))}
      <p className="dim small">{t.origin.several}</p>
      <Refused error={error} />
      <div className="row wrap">
        <Button type="submit" loading={planning}>
          {t.origin.review}
        </Button>
        <Button
          variant="default"
          leftSection={<Icon name="plus" size={14} />}
          onClick={() =>
            form.insertListItem("origins", {
              key: `new ${rows.length} ${rows.map((r) => r.key).join()}`,
              name: `origin-${rows.length + 1}`,
              url: "",
              host_header: "",
              skip_verify: false,
              rest: { url: "" },
            })
          }
        >
          {t.origin.add}
        </Button>
      </div>
    </form>
  );
}

function keyText(rule: Rule): string {
  const parts: string[] = [];
  const query = rule.cache_key?.query;
  if (query?.mode && query.mode !== "all")
    parts.push(`query ${query.mode}${query.names ? `: ${query.names.join(", ")}` : ""}`);
  if (rule.cache_key?.headers?.length) parts.push(`headers: ${rule.cache_key.headers.join(", ")}`);
  if (rule.cache_key?.cookies?.length) parts.push(`cookies: ${rule.cache_key.cookies.join(", ")}`);
  return parts.join("; ");
}

const ruleColumns: Column<Rule & { at: number }>[] = [
  { id: "pattern", header: t.origin.pattern, cell: (r) => <span className="mono">{r.pattern}</span> },
  {
    id: "action",
    header: t.origin.action,
    cell: (r) => t.origin.actions[r.action || (r.ttl ? "cache" : "headers")] ?? r.action,
  },
  { id: "ttl", header: t.origin.ttl, align: "right", cell: (r) => (r.ttl ? duration(r.ttl) : "–") },
  {
    id: "browser",
    header: t.origin.browser,
    align: "right",
    hideBelow: "sm",
    cell: (r) =>
      r.browser_ttl === undefined ? <span className="dim">{t.origin.browserDefault}</span> : duration(r.browser_ttl),
  },
  {
    id: "key",
    header: t.origin.key,
    hideBelow: "md",
    cell: (r) => keyText(r) || <span className="dim">{t.origin.keyDefault}</span>,
  },
];

function Rules({ rules }: { rules: Rule[] }) {
  const rows = rules.map((rule, at) => ({ ...rule, at }));
  return (
    <Panel title={t.origin.rules} flush>
      {rows.length === 0 ? (
        <p className="dim" style={{ padding: "14px 16px" }}>
          {t.origin.noRules}
        </p>
      ) : (
        <DataTable label={t.origin.rules} columns={ruleColumns} rows={rows} rowKey={(r) => String(r.at)} />
      )}
    </Panel>
  );
}
