import { Button, SegmentedControl, Select, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError } from "@/api/client";
import { may, type Scope, useScope } from "@/app/session";
import { readDomain, readOrigin } from "@/lib/domainName";
import { t } from "@/lib/strings";
import { CommandLine } from "@/ui/CommandLine";
import { EmptyState } from "@/ui/EmptyState";
import { useLanded } from "@/ui/forms";
import { Icon } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { PageHeader, Panel } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import { Steps } from "./components/Steps";
import styles from "./domains.module.css";
import { cdnsQuery, type Domain, domainQuery, useAddDomain } from "./queries";
import { SetupSteps } from "./setup/SetupTab";
import { conditionOf } from "./setup/steps";

const route = getRouteApi("/shell/domains/add");

/** First the name and its origin; then what is to be done for it, live, until every edge serves it. */
export function AddDomainPage() {
  const scope = useScope();
  const { domain } = route.useSearch();
  const navigate = route.useNavigate();
  return domain ? (
    <Setup scope={scope} domain={domain} onAnother={() => void navigate({ search: {} })} />
  ) : (
    <>
      <PageHeader title={t.addDomain.title} description={t.addDomain.description} />
      <AddForm scope={scope} onAdded={(added) => void navigate({ search: { domain: added.domain }, replace: true })} />
    </>
  );
}

/** The command that does what the form does, as it is filled in now. */
export function commandFor(scope: Scope, form: { domain: string; origin: string; cdn: string }): string {
  const parts = ["edgewright domains add", form.domain.startsWith("*") ? `'${form.domain}'` : form.domain];
  if (form.origin) parts.push(`--origin ${form.origin}`);
  if (form.cdn) parts.push(`--cdn ${form.cdn}`);
  if (scope.project.name !== "default") parts.push(`--project ${scope.project.name}`);
  if (scope.environment !== "production") parts.push(`--environment ${scope.environment}`);
  return parts.join(" ");
}

function AddForm({ scope, onAdded }: { scope: Scope; onAdded: (domain: Domain) => void }) {
  const add = useAddDomain(scope);
  const cdns = useQuery(cdnsQuery(scope));
  const [source, setSource] = useState<"origin" | "cdn">("origin");
  const form = useForm({
    mode: "controlled",
    initialValues: { domain: "", origin: "", cdn: "" },
    validateInputOnBlur: ["domain", "origin"],
    validate: {
      domain: (value) => {
        const read = readDomain(value);
        return read.ok ? null : read.problem;
      },
      origin: (value) => {
        if (source !== "origin") return null;
        const read = readOrigin(value);
        return read.ok ? null : read.problem;
      },
      cdn: (value) => (source === "cdn" && value === "" ? t.login.required : null),
    },
  });
  const landed = useLanded(form, add.error);
  const names = (cdns.data ?? []).map((c) => c.name);
  const typed = readDomain(form.values.domain);
  const allowed = may(scope, "developer");
  const origin = readOrigin(form.values.origin);
  const command = commandFor(scope, {
    domain: typed.ok ? typed.domain : t.addDomain.placeholder,
    origin: source === "origin" ? (origin.ok ? origin.url : t.addDomain.originPlaceholder) : "",
    cdn: source === "cdn" ? form.values.cdn : "",
  });

  return (
    <div className={styles["addPage"]}>
      <Panel>
        <form
          className="stack"
          style={{ paddingTop: 14 }}
          noValidate
          onSubmit={form.onSubmit((values) => {
            const read = readDomain(values.domain);
            const origin = readOrigin(values.origin);
            if (!read.ok) return;
            add.mutate(
              {
                domain: read.domain,
                ...(source === "origin" && origin.ok ? { origin: origin.url } : {}),
                ...(source === "cdn" ? { cdn: values.cdn } : {}),
              },
              {
                onSuccess: (answer) => onAdded(answer.domain_config),
              },
            );
          })}
        >
          <div>
            <TextInput
              label={t.addDomain.domain}
              description={t.addDomain.domainHint}
              placeholder={t.addDomain.placeholder}
              autoFocus
              autoCapitalize="off"
              autoComplete="off"
              spellCheck={false}
              {...form.getInputProps("domain")}
            />
            {typed.ok && typed.stripped && (
              <div className="row" style={{ marginTop: 6 }}>
                <span className="soft">
                  {t.addDomain.understood} <strong className="mono">{typed.domain}</strong>
                </span>
                <Button size="compact-xs" variant="default" onClick={() => form.setFieldValue("domain", typed.domain)}>
                  {t.addDomain.use}
                </Button>
              </div>
            )}
            {typed.ok && !typed.stripped && typed.domain !== form.values.domain.trim() && (
              <p className="soft" style={{ marginTop: 6 }}>
                {t.addDomain.understood} <span className="mono">{typed.domain}</span>
              </p>
            )}
            {typed.ok && typed.wildcard && (
              <p className="soft" style={{ marginTop: 6 }}>
                {t.addDomain.wildcard}
              </p>
            )}
          </div>
          {names.length > 0 && (
            <div>
              <SegmentedControl
                aria-label={t.addDomain.source}
                value={source}
                onChange={(value) => setSource(value === "cdn" ? "cdn" : "origin")}
                data={[
                  { value: "origin", label: t.addDomain.sources.origin },
                  { value: "cdn", label: t.addDomain.sources.cdn },
                ]}
              />
            </div>
          )}
          {source === "origin" ? (
            <TextInput
              label={t.addDomain.origin}
              description={t.addDomain.originHint}
              placeholder={t.addDomain.originPlaceholder}
              inputMode="url"
              autoCapitalize="off"
              autoComplete="off"
              spellCheck={false}
              {...form.getInputProps("origin")}
            />
          ) : (
            <Select label={t.addDomain.cdn} data={names} searchable {...form.getInputProps("cdn")} />
          )}
          <Refused {...landed} />
          <div className="row wrap">
            <Button type="submit" loading={add.isPending} disabled={!allowed}>
              {t.addDomain.submit}
            </Button>
            {scope.environment === "production" && <span className="dim">{t.addDomain.production}</span>}
            {!allowed && <span className="dim">{t.errors.forbidden}</span>}
          </div>
        </form>
      </Panel>
      <div className="stack">
        <Panel title={t.addDomain.next}>
          <ol className={styles["next"]}>
            {t.addDomain.nextSteps.map(([name, text]) => (
              <li key={name}>
                <strong style={{ fontWeight: 550 }}>{name}</strong>
                <span className="dim">{text}</span>
              </li>
            ))}
          </ol>
        </Panel>
        <Panel title={t.addDomain.cli}>
          <CommandLine command={command} label={t.copy.value(t.addDomain.cli)} />
        </Panel>
      </div>
    </div>
  );
}

function Setup({ scope, domain, onAnother }: { scope: Scope; domain: string; onAnother: () => void }) {
  const query = useQuery(domainQuery(scope, domain));
  if (query.error instanceof ApiError && query.error.code === "not_found") {
    return (
      <EmptyState
        icon="globe"
        level={1}
        title={t.domains.notFound}
        action={<Button onClick={onAnother}>{t.addDomain.submit}</Button>}
      >
        {t.addDomain.unknown}
      </EmptyState>
    );
  }
  return (
    <>
      {!query.data && <PageHeader title={domain} />}
      <PageState query={query} skeleton={<SkeletonRows rows={6} />}>
        {(d) => <SetupOf scope={scope} domain={d} onAnother={onAnother} />}
      </PageState>
    </>
  );
}

function SetupOf({ scope, domain, onAnother }: { scope: Scope; domain: Domain; onAnother: () => void }) {
  const name = domain.display || domain.domain;
  const live = domain.status === "active" && conditionOf(domain, "Serving")?.status === "true";
  return (
    <>
      <PageHeader
        title={live ? t.addDomain.live(name) : name}
        description={live ? t.addDomain.liveText : t.records.keep}
        actions={
          <>
            <Button variant="default" onClick={onAnother}>
              {t.addDomain.another}
            </Button>
            <Button
              variant={live ? "default" : "filled"}
              renderRoot={(props) => <Link {...props} to="/domains/$domain" params={{ domain: domain.domain }} />}
            >
              {t.addDomain.goto}
            </Button>
            {live && (
              <Button
                component="a"
                href={domain.url}
                target="_blank"
                rel="noreferrer"
                rightSection={<Icon name="external" size={13} />}
              >
                {t.addDomain.visit}
              </Button>
            )}
          </>
        }
      />
      <div className="stack">
        <Steps domain={domain} />
        <SetupSteps scope={scope} domain={domain} proven={false} />
        {domain.certificate.state === "failed" && (
          <Notice tone="bad" title={domain.certificate.reason}>
            {domain.certificate.fix}
          </Notice>
        )}
      </div>
    </>
  );
}
