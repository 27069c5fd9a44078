import { Checkbox, Select, Switch } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { may, type Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { ChangeFlow } from "@/ui/ChangeFlow";
import { ReviewEnd } from "@/ui/FormEnd";
import { Panel } from "@/ui/Panel";
import { LockPanel } from "../handover/LockPanel";
import { TransferPanel } from "../handover/TransferPanel";
import { cdnsQuery, type Domain, type DomainPatch, useChangeDomain } from "../queries";
import { Applied } from "./Applied";
import { RemovePanel } from "./RemovePanel";

export function SettingsTab({ scope, domain }: { scope: Scope; domain: Domain }) {
  const change = useChangeDomain(scope, domain);
  return (
    <div className="stack" style={{ maxWidth: 720 }}>
      <Panel title={t.domainSettings.https}>
        <ChangeFlow<DomainPatch>
          environment={scope.environment}
          plan={change.plan}
          apply={async (patch, reason) => (await change.apply.mutateAsync({ patch, reason })).revision}
          done={(revision, again) => <Applied scope={scope} revision={revision} onAgain={again} />}
          form={({ review, planning, error, draft }) => (
            <Form scope={scope} domain={domain} draft={draft} onReview={review} planning={planning} error={error} />
          )}
        />
      </Panel>
      <LockPanel scope={scope} domain={domain} />
      <TransferPanel scope={scope} domain={domain} />
      <RemovePanel scope={scope} domain={domain} />
    </div>
  );
}

function Form({
  scope,
  domain,
  draft,
  onReview,
  planning,
  error,
}: {
  scope: Scope;
  domain: Domain;
  draft: DomainPatch | null;
  onReview: (patch: DomainPatch) => void;
  planning: boolean;
  error: Error | null;
}) {
  const cdns = useQuery(cdnsQuery(scope));
  const hsts = draft?.hsts ?? domain.hsts;
  const form = useForm({
    mode: "controlled",
    initialValues: {
      redirect: draft?.redirect_https ?? domain.redirect_https,
      age: String(hsts?.max_age ?? 0),
      subdomains: hsts?.include_subdomains ?? false,
      cdn: draft?.cdn ?? domain.cdn,
      policy: (draft?.tls ?? domain.tls)?.policy ?? "intermediate",
    },
  });
  const ages = { ...t.domainSettings.ages };
  if (!(form.values.age in ages)) ages[form.values.age] = t.domainSettings.otherAge(Number(form.values.age));
  const names = [...new Set([domain.cdn, ...(cdns.data ?? []).map((c) => c.name)])];
  return (
    <form
      className="stack"
      onSubmit={form.onSubmit((values) =>
        onReview({
          redirect_https: values.redirect,
          cdn: values.cdn,
          ...(values.policy !== (domain.tls?.policy ?? "intermediate") ? { tls: { policy: values.policy } } : {}),
          hsts: {
            ...(domain.hsts?.preload ? { preload: true } : {}),
            ...(values.subdomains ? { include_subdomains: true } : {}),
            max_age: Number(values.age),
          },
        }),
      )}
    >
      <Switch
        label={t.domainSettings.redirect}
        description={t.domainSettings.redirectHint}
        {...form.getInputProps("redirect", { type: "checkbox" })}
      />
      <Select
        label={t.domainSettings.hsts}
        description={t.domainSettings.hstsHint}
        data={Object.entries(ages)
          .sort(([a], [b]) => Number(a) - Number(b))
          .map(([value, label]) => ({ value, label }))}
        {...form.getInputProps("age")}
      />
      {form.values.age !== "0" && (
        <Checkbox
          size="xs"
          label={t.domainSettings.subdomains}
          {...form.getInputProps("subdomains", { type: "checkbox" })}
        />
      )}
      <Select
        label={t.tls.policy}
        description={t.tls.policyHint}
        data={Object.entries(t.tls.policies).map(([value, label]) => ({ value, label }))}
        {...form.getInputProps("policy")}
      />
      <Select
        label={t.domainSettings.cdn}
        description={t.domainSettings.cdnHint}
        data={names}
        {...form.getInputProps("cdn")}
      />
      <ReviewEnd error={error} pending={planning} disabled={!may(scope, "developer")} label={t.domainSettings.review} />
    </form>
  );
}
