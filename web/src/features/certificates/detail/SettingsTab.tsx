import { Autocomplete, Select, Switch, Textarea, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { Applied } from "@/app/Applied";
import { may, type Scope, useSession } from "@/app/session";
import { t } from "@/lib/strings";
import { ChangeFlow } from "@/ui/ChangeFlow";
import { ReviewEnd } from "@/ui/FormEnd";
import { machineText, useLanded } from "@/ui/forms";
import { Panel } from "@/ui/Panel";
import { authoritiesQuery } from "../authorityQueries";
import styles from "../certificates.module.css";
import { type Certificate, type CertificateDetail, type CertificatePatch, useConfigureCertificate } from "../queries";

/** Renewal, names, key, method and authority: edit, difference, apply. */
export function SettingsTab({ scope, detail }: { scope: Scope; detail: CertificateDetail }) {
  const { certificate } = detail;
  const configure = useConfigureCertificate(scope, certificate);
  return (
    <div style={{ maxWidth: 820 }}>
      <Panel title={t.certificatePage.tabs.settings}>
        <ChangeFlow<CertificatePatch>
          environment={scope.environment}
          plan={configure.plan}
          apply={(patch, reason) => configure.apply.mutateAsync({ patch, reason })}
          done={(revision, again) => (
            <Applied scope={scope} revision={revision} onAgain={again} rollout={detail.rollout} />
          )}
          form={({ review, planning, error, draft }) => (
            <Form
              scope={scope}
              certificate={certificate}
              draft={draft}
              planning={planning}
              error={error}
              onReview={review}
            />
          )}
        />
      </Panel>
    </div>
  );
}

const fields = {
  "/auto_renew": "auto",
  "/takeover": "takeover",
  "/pin_key": "pin",
  "/must_staple": "staple",
  "/key_type": "key",
  "/challenge": "challenge",
  "/profile": "profile",
  "/authority": "authority",
} as const;

const lines = (text: string) =>
  text
    .split(/[\s,]+/)
    .map((line) => line.trim())
    .filter((line) => line !== "");

function Form({
  scope,
  certificate: c,
  draft,
  planning,
  error,
  onReview,
}: {
  scope: Scope;
  certificate: Certificate;
  draft: CertificatePatch | null;
  planning: boolean;
  error: Error | null;
  onReview: (patch: CertificatePatch) => void;
}) {
  const custom = c.type === "custom";
  const platform = (useSession().principal.platform_role ?? "") !== "";
  const authorities = useQuery({ ...authoritiesQuery(), enabled: platform });
  const form = useForm({
    mode: "controlled",
    initialValues: {
      auto: draft?.auto_renew ?? c.auto_renew,
      takeover: draft?.takeover ?? c.takeover ?? false,
      domains: (draft?.domains ?? c.domains).join("\n"),
      key: draft?.key_type ?? c.key_type ?? "p256",
      pin: draft?.pin_key ?? c.pin_key ?? false,
      challenge: draft?.challenge ?? c.challenge ?? "",
      authority: draft?.authority ?? c.wanted_authority ?? "",
      profile: draft?.profile ?? c.profile ?? "",
      staple: draft?.must_staple ?? c.must_staple ?? false,
    },
    validate: {
      domains: (value) => (lines(value)[0] === c.domain ? null : t.certificateSettings.namesNeeded),
    },
  });
  const landed = useLanded(form, error, fields);
  const names = authorities.data?.map((a) => a.name) ?? [];
  const own = Object.keys(t.certificateSettings.keyTypes);
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit((v) =>
        onReview(
          custom
            ? { takeover: v.takeover }
            : {
                auto_renew: v.auto,
                domains: lines(v.domains),
                key_type: v.key,
                pin_key: v.pin,
                challenge: v.challenge,
                authority: v.authority.trim(),
                profile: v.profile.trim(),
                must_staple: v.staple,
              },
        ),
      )}
    >
      {custom ? (
        <Switch
          label={t.certificateSettings.takeover}
          description={t.certificateSettings.takeoverHint}
          {...form.getInputProps("takeover", { type: "checkbox" })}
        />
      ) : (
        <>
          <Switch
            label={t.certificateSettings.renewal}
            description={t.certificateSettings.renewalHint}
            {...form.getInputProps("auto", { type: "checkbox" })}
          />
          <Textarea
            label={t.certificateSettings.names}
            description={t.certificateSettings.namesHint}
            autosize
            minRows={2}
            maxRows={10}
            spellCheck={false}
            autoCapitalize="off"
            styles={machineText}
            {...form.getInputProps("domains")}
          />
          <div className={styles["two"]}>
            <Select
              label={t.certificateSettings.challenge}
              data={Object.entries(t.certificateSettings.challenges).map(([value, label]) => ({ value, label }))}
              allowDeselect={false}
              {...form.getInputProps("challenge")}
            />
            <Select
              label={t.certificateSettings.key}
              data={[...new Set([...own, form.values.key])].map((value) => ({
                value,
                label: t.certificateSettings.keyTypes[value] ?? value,
              }))}
              allowDeselect={false}
              {...form.getInputProps("key")}
            />
            {c.type !== "local" && (
              <>
                <Autocomplete
                  label={t.certificateSettings.authority}
                  placeholder={t.certificateSettings.anyAuthority}
                  data={names}
                  autoCapitalize="off"
                  spellCheck={false}
                  {...form.getInputProps("authority")}
                />
                <TextInput
                  label={t.certificateSettings.profile}
                  placeholder={t.certificateSettings.profileHint}
                  autoCapitalize="off"
                  spellCheck={false}
                  {...form.getInputProps("profile")}
                />
              </>
            )}
          </div>
          <Switch
            label={t.certificateSettings.pin}
            description={t.certificateSettings.pinHint}
            {...form.getInputProps("pin", { type: "checkbox" })}
          />
          {c.type !== "local" && (
            <Switch
              label={t.certificateSettings.staple}
              description={t.certificateSettings.stapleHint}
              {...form.getInputProps("staple", { type: "checkbox" })}
            />
          )}
          <p className="dim small">{t.certificateSettings.reissue}</p>
        </>
      )}
      <ReviewEnd
        {...landed}
        pending={planning}
        disabled={!may(scope, "developer")}
        label={t.certificateSettings.review}
      />
    </form>
  );
}
