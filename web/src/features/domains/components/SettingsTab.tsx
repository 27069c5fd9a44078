import { Button, Checkbox, Select, Switch } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { may, type Scope } from "@/app/session";
import { useUndoLast } from "@/features/activity/queries";
import { t } from "@/lib/strings";
import { ChangeFlow } from "@/ui/ChangeFlow";
import { ConfirmByTyping } from "@/ui/ConfirmByTyping";
import { ReviewEnd } from "@/ui/FormEnd";
import { Panel } from "@/ui/Panel";
import { undoToast } from "@/ui/UndoToast";
import { LockPanel } from "../handover/LockPanel";
import { TransferPanel } from "../handover/TransferPanel";
import { cdnsQuery, type Domain, type DomainPatch, useChangeDomain, useRemoveDomain } from "../queries";
import { Applied } from "./Applied";

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
      <Remove scope={scope} domain={domain} />
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

function Remove({ scope, domain }: { scope: Scope; domain: Domain }) {
  const [asking, setAsking] = useState(false);
  const remove = useRemoveDomain(scope);
  const undo = useUndoLast(scope);
  const navigate = useNavigate();
  return (
    <Panel title={t.domainSettings.danger}>
      <div className="row between wrap">
        <p className="soft grow">{domain.locked ? t.lock.first : t.domainSettings.dangerText}</p>
        <Button
          color="red"
          variant="outline"
          onClick={() => setAsking(true)}
          disabled={!may(scope, "developer") || domain.locked}
        >
          {t.domainSettings.remove}
        </Button>
      </div>
      <ConfirmByTyping
        opened={asking}
        onClose={() => setAsking(false)}
        title={t.domainSettings.removeTitle(domain.domain)}
        name={domain.domain}
        confirmLabel={t.domainSettings.remove}
        pending={remove.isPending}
        error={remove.error}
        onConfirm={() =>
          remove.mutate(domain, {
            onSuccess: () => {
              void navigate({ to: "/domains" });
              undoToast(t.domainSettings.removed(domain.domain), () => undo("domain", domain.id));
            },
          })
        }
      >
        <p>{t.domainSettings.removeText}</p>
      </ConfirmByTyping>
    </Panel>
  );
}
