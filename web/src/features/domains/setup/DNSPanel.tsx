import { Button, Radio, Select } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { sentence } from "@/api/client";
import { may, type Scope } from "@/app/session";
import { providersQuery } from "@/features/dnsproviders/queries";
import { t } from "@/lib/strings";
import { ChangeFlow } from "@/ui/ChangeFlow";
import { CopyText } from "@/ui/CommandLine";
import { Icon } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import { TimeAgo } from "@/ui/Time";
import { Applied } from "../components/Applied";
import styles from "../domains.module.css";
import { type Domain, type DomainPatch, useChangeDomain } from "../queries";
import { type Setup, setupQuery } from "../stateQueries";

/** Who serves the zone now, who shall set the records, and what is in their way. */
export function DNSPanel({ scope, domain }: { scope: Scope; domain: Domain }) {
  const query = useQuery(setupQuery(scope, domain.domain));
  // Names below .localhost and the platform's own domain have no choice to make.
  if (query.data && query.data.offers.length === 0) return null;
  return (
    <Panel title={t.setup.title} flush>
      <PageState query={query} skeleton={<SkeletonRows rows={4} />}>
        {(setup) => (
          <>
            <div className="stack" style={{ padding: "12px 16px 14px" }}>
              <Served setup={setup} />
              {setup.error && (
                <Notice tone="bad" title={t.setup.failed}>
                  {sentence(setup.error)}
                </Notice>
              )}
              <Left domain={domain} />
              <Blockers blockers={setup.blockers} />
              <Choice scope={scope} domain={domain} setup={setup} onApplied={() => void query.refetch()} />
            </div>
            {setup.managed && <Managed managed={setup.managed} now={setup.name_servers} />}
            <div className={styles["checkBar"]}>
              <span>
                {t.setup.looked}: <TimeAgo at={setup.checked_at} />
              </span>
              <Button
                ms="auto"
                variant="default"
                leftSection={<Icon name="refresh" size={14} />}
                loading={query.isFetching}
                onClick={() => void query.refetch()}
              >
                {t.setup.look}
              </Button>
            </div>
          </>
        )}
      </PageState>
    </Panel>
  );
}

/** That its old records are still at a provider, after its records are set otherwise. */
function Left({ domain }: { domain: Domain }) {
  if (!domain.conditions.some((c) => c.type === "Withdrawn" && c.status === "false")) return null;
  return (
    <Notice
      tone="warn"
      title={t.leftovers.notice(1)}
      action={
        <Button variant="default" renderRoot={(props) => <Link {...props} to="/settings" search={{ tab: "dns" }} />}>
          {t.leftovers.see}
        </Button>
      }
    >
      {t.leftovers.noticeText}
    </Notice>
  );
}

function Served({ setup }: { setup: Setup }) {
  if (!setup.zone) return <p className="soft">{t.setup.notServed}</p>;
  return (
    <div className="soft">
      {setup.provider_name ? t.setup.served(setup.zone, setup.provider_name) : t.setup.servedUnknown(setup.zone)}
      {setup.name_servers.length > 0 && (
        <>
          {" "}
          <span className="mono">{setup.name_servers.join(", ")}</span>
        </>
      )}
    </div>
  );
}

/** What is in the DNS that must change first: what it is, and how to mend it. */
export function Blockers({ blockers }: { blockers: Setup["blockers"] }) {
  if (blockers.length === 0) return null;
  return (
    <ul className={styles["plainList"]} aria-label={t.setup.blockersTitle}>
      {blockers.map((b) => (
        <li key={`${b.reason} ${b.type} ${b.name} ${b.value ?? ""}`}>
          <Notice tone="bad" title={`${t.setup.blockers[b.reason] ?? b.reason}.`}>
            {sentence(b.detail)} {sentence(b.fix)}
            <div className="mono" style={{ marginTop: 4, color: "var(--ew-ink-2)" }}>
              {b.name} {b.type} {b.value}
            </div>
          </Notice>
        </li>
      ))}
    </ul>
  );
}

function Managed({ managed, now }: { managed: NonNullable<Setup["managed"]>; now: string[] }) {
  const there = new Set(now.map((n) => n.toLowerCase().replace(/\.$/, "")));
  return (
    <div className="stack tight" style={{ padding: "12px 16px", borderTop: "1px solid var(--ew-border)" }}>
      <h3 className={styles["subTitle"]}>{t.setup.managedTitle}</h3>
      <p className="dim">{t.setup.managedText(managed.apex)}</p>
      <dl className={styles["pairs"]}>
        {managed.name_servers.map((server) => (
          <Pair
            key={server}
            name={t.setup.nameServer}
            value={server}
            done={there.has(server.toLowerCase().replace(/\.$/, ""))}
          />
        ))}
        {managed.ds.map((ds) => (
          <Pair key={ds} name={t.setup.ds} value={ds} />
        ))}
      </dl>
      {managed.ds.length > 0 && <p className="dim small">{t.setup.dsText}</p>}
    </div>
  );
}

function Pair({ name, value, done }: { name: string; value: string; done?: boolean }) {
  return (
    <>
      <dt>{name}</dt>
      <dd className="row wrap">
        <CopyText value={value} />
        {done !== undefined && <span className="dim small">{done ? t.records.found : t.records.notFound}</span>}
      </dd>
    </>
  );
}

function Choice({
  scope,
  domain,
  setup,
  onApplied,
}: {
  scope: Scope;
  domain: Domain;
  setup: Setup;
  onApplied: () => void;
}) {
  const change = useChangeDomain(scope, domain);
  return (
    <ChangeFlow<DomainPatch>
      environment={scope.environment}
      plan={change.plan}
      apply={async (patch, reason) => {
        const updated = await change.apply.mutateAsync({ patch, reason });
        onApplied();
        return updated.revision;
      }}
      done={(revision, again) => <Applied scope={scope} revision={revision} onAgain={again} />}
      form={({ review, planning, error, draft }) => (
        <Modes
          scope={scope}
          domain={domain}
          setup={setup}
          draft={draft}
          planning={planning}
          error={error}
          onReview={review}
        />
      )}
    />
  );
}

function Modes({
  scope,
  domain,
  setup,
  draft,
  planning,
  error,
  onReview,
}: {
  scope: Scope;
  domain: Domain;
  setup: Setup;
  draft: DomainPatch | null;
  planning: boolean;
  error: Error | null;
  onReview: (patch: DomainPatch) => void;
}) {
  const providers = useQuery(providersQuery(scope));
  // Those that fit who serves the zone; the one in use stays, whatever it is.
  const accounts = (providers.data ?? [])
    .filter((p) => !setup.provider || p.driver === setup.provider || p.name === setup.account)
    .map((p) => p.name);
  const form = useForm({
    mode: "controlled",
    initialValues: {
      mode: draft?.dns ?? (setup.mode || "manual"),
      account: draft?.dns_account ?? setup.account ?? "",
    },
    validate: {
      account: (value, { mode }) => (mode === "provider" && value.trim() === "" ? t.setup.accountNeeded : null),
    },
  });
  const { mode, account } = form.values;
  const changed = mode !== setup.mode || (mode === "provider" && account !== (setup.account ?? ""));
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit((values) =>
        onReview({ dns: values.mode, dns_account: values.mode === "provider" ? values.account.trim() : "" }),
      )}
    >
      <Radio.Group aria-label={t.setup.mode} value={mode} onChange={(value) => form.setFieldValue("mode", value)}>
        {!setup.mode && (
          <p className="soft" style={{ marginBottom: 10 }}>
            {t.setup.notChosen}
          </p>
        )}
        <div className={styles["options"]}>
          {setup.offers.map((offer) => (
            <Radio
              key={offer.mode}
              value={offer.mode}
              disabled={!offer.available || domain.locked || !may(scope, "developer")}
              label={t.setup.modes[offer.mode] ?? offer.mode}
              description={
                offer.available ? sentence(offer.detail) : `${t.setup.unavailable}: ${sentence(offer.detail)}`
              }
            />
          ))}
        </div>
      </Radio.Group>
      {mode === "provider" && (
        <Select label={t.providers.choose} maw={360} data={accounts} {...form.getInputProps("account")} />
      )}
      {setup.offers.some((o) => o.mode === "provider") && (
        <p className="small">
          <Link to="/settings" search={{ tab: "dns" }}>
            {t.providers.toSettings}
          </Link>
        </p>
      )}
      {domain.locked && <Notice tone="idle">{t.setup.locked}</Notice>}
      <Refused error={error} />
      {changed && !domain.locked && (
        <div>
          <Button type="submit" loading={planning} disabled={!may(scope, "developer")}>
            {t.setup.change}
          </Button>
        </div>
      )}
    </form>
  );
}
