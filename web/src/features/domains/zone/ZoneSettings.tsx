import { Button, Modal, Switch, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useState } from "react";
import { may, type Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { ChangeFlow } from "@/ui/ChangeFlow";
import { ReviewEnd } from "@/ui/FormEnd";
import { useLanded } from "@/ui/forms";
import { Icon } from "@/ui/icons";
import { Applied } from "../components/Applied";
import { useConfigureZone, type Zone, type ZonePatch } from "../zoneQueries";
import { RemoveZone } from "./RemoveZone";

/** What a zone says of itself: TTLs, whom to write to, and whether names served here get their records. */
export function ZoneSettings({ scope, domain, zone }: { scope: Scope; domain: string; zone: Zone }) {
  const [open, setOpen] = useState(false);
  const [removing, setRemoving] = useState(false);
  const configure = useConfigureZone(scope, domain, zone);
  return (
    <>
      <Button variant="default" leftSection={<Icon name="settings" size={14} />} onClick={() => setOpen(true)}>
        {t.zoneSettings.open}
      </Button>
      <Modal size="lg" opened={open} onClose={() => setOpen(false)} title={t.zoneSettings.title(zone.name)}>
        <ChangeFlow<ZonePatch>
          environment={scope.environment}
          plan={configure.plan}
          apply={(patch, reason) => configure.apply.mutateAsync({ patch, reason })}
          done={(revision, again) => <Applied scope={scope} revision={revision} onAgain={again} zoneOf={domain} />}
          form={({ review, planning, error, draft }) => (
            <>
              <SettingsForm
                scope={scope}
                zone={zone}
                draft={draft}
                planning={planning}
                error={error}
                onReview={review}
              />
              <div style={{ marginTop: 16, paddingTop: 14, borderTop: "1px solid var(--ew-border)" }}>
                <Button
                  color="red"
                  variant="outline"
                  disabled={!may(scope, "developer")}
                  onClick={() => {
                    setOpen(false);
                    setRemoving(true);
                  }}
                >
                  {t.zoneRemove.open}
                </Button>
              </div>
            </>
          )}
        />
      </Modal>
      <RemoveZone scope={scope} zone={zone} opened={removing} onClose={() => setRemoving(false)} />
    </>
  );
}

function SettingsForm({
  scope,
  zone,
  draft,
  planning,
  error,
  onReview,
}: {
  scope: Scope;
  zone: Zone;
  draft: ZonePatch | null;
  planning: boolean;
  error: Error | null;
  onReview: (patch: ZonePatch) => void;
}) {
  const seconds = (value: string) => (/^\d+$/.test(value.trim()) ? null : t.zoneSettings.secondsWrong);
  const form = useForm({
    mode: "controlled",
    initialValues: {
      ttl: String(draft?.ttl ?? zone.ttl),
      negative: String(draft?.negative_ttl ?? zone.negative_ttl),
      contact: draft?.contact ?? zone.contact ?? "",
      comment: draft?.comment ?? zone.comment ?? "",
      sites: draft?.sites ?? zone.sites,
    },
    validateInputOnBlur: ["ttl", "negative"],
    validate: { ttl: seconds, negative: seconds },
  });
  const landed = useLanded(form, error, { "/negative_ttl": "negative" });
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit((values) =>
        onReview({
          ttl: Number(values.ttl),
          negative_ttl: Number(values.negative),
          contact: values.contact.trim(),
          comment: values.comment.trim(),
          sites: values.sites,
        }),
      )}
    >
      <TextInput
        label={t.recordForm.ttl}
        description={t.zone.ttlNote}
        inputMode="numeric"
        {...form.getInputProps("ttl")}
        data-autofocus
      />
      <TextInput
        label={t.zoneSettings.negative}
        description={t.zoneSettings.negativeHint}
        inputMode="numeric"
        {...form.getInputProps("negative")}
      />
      <TextInput
        label={t.zoneSettings.contact}
        description={t.zoneSettings.contactHint}
        {...form.getInputProps("contact")}
      />
      <TextInput label={t.recordForm.comment} maxLength={500} {...form.getInputProps("comment")} />
      <Switch
        label={t.zoneSettings.sites}
        description={t.zoneSettings.sitesHint}
        {...form.getInputProps("sites", { type: "checkbox" })}
      />
      <ReviewEnd {...landed} pending={planning} disabled={!may(scope, "developer")} label={t.recordForm.review} />
    </form>
  );
}
