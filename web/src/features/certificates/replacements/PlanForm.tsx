import { Autocomplete, Button, Checkbox, Textarea, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { sentence } from "@/api/client";
import { t } from "@/lib/strings";
import { FormEnd } from "@/ui/FormEnd";
import { machineText, useLanded } from "@/ui/forms";
import { Notice } from "@/ui/Notice";
import { toast } from "@/ui/UndoToast";
import { authoritiesQuery, type ReplacementWish, usePlanReplacement } from "../authorityQueries";
import styles from "../certificates.module.css";

const fields = { "/selector": "all", "/per_hour": "pace" } as const;

type Values = {
  authority: string;
  issuer: string;
  after: string;
  before: string;
  serials: string;
  all: boolean;
  pace: string;
};

/** Local midnight of a date field, as the API takes it. */
const midnight = (day: string) => new Date(`${day}T00:00:00`).toISOString();

export function wishOf(v: Values): ReplacementWish {
  const serials = v.serials.split(/[\s,]+/).filter((s) => s !== "");
  return {
    selector: {
      ...(v.authority.trim() && { authority: v.authority.trim() }),
      ...(v.issuer.trim() && { issuer: v.issuer.trim() }),
      ...(serials.length > 0 && { serials }),
      ...(v.after && { issued_after: midnight(v.after) }),
      ...(v.before && { issued_before: midnight(v.before) }),
      ...(v.all && { all: true }),
    },
    per_hour: Number(v.pace),
  };
}

/** Which certificates, and how fast: counted first, then kept as a plan that somebody starts. */
export function PlanForm({ onDone }: { onDone: () => void }) {
  const { preview, keep } = usePlanReplacement();
  const authorities = useQuery(authoritiesQuery());
  const form = useForm<Values>({
    mode: "controlled",
    initialValues: { authority: "", issuer: "", after: "", before: "", serials: "", all: false, pace: "50" },
    validateInputOnBlur: ["pace"],
    onValuesChange: () => preview.reset(), // what was counted is of other values
    validate: {
      all: (_, v) => {
        const { selector } = wishOf(v);
        return Object.keys(selector).length === 0 ? t.replacements.nothingSelected : null;
      },
      pace: (value) => (/^[1-9]\d{0,5}$/.test(value.trim()) ? null : t.replacements.paceWrong),
    },
  });
  const landed = useLanded(form, preview.error ?? keep.error, fields);
  const counted = preview.data !== undefined;
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit((v) => {
        if (!counted) return preview.mutate(wishOf(v));
        keep.mutate(wishOf(v), {
          onSuccess: () => {
            toast(t.replacements.kept);
            onDone();
          },
        });
      })}
    >
      <p className="soft">{t.replacements.text}</p>
      <div className={styles["two"]}>
        <Autocomplete
          label={t.replacements.authority}
          placeholder={t.replacements.anyAuthority}
          data={(authorities.data ?? []).map((a) => a.name)}
          data-autofocus
          {...form.getInputProps("authority")}
        />
        <TextInput
          label={t.replacements.issuer}
          placeholder={t.replacements.issuerHint}
          {...form.getInputProps("issuer")}
        />
        <TextInput type="date" label={t.replacements.afterLabel} {...form.getInputProps("after")} />
        <TextInput type="date" label={t.replacements.beforeLabel} {...form.getInputProps("before")} />
      </div>
      <Textarea
        label={t.replacements.serialsLabel}
        description={t.replacements.serialsHint}
        autosize
        minRows={1}
        maxRows={6}
        spellCheck={false}
        styles={machineText}
        {...form.getInputProps("serials")}
      />
      <Checkbox
        label={t.replacements.everything}
        description={t.replacements.everythingHint}
        {...form.getInputProps("all", { type: "checkbox" })}
      />
      <TextInput
        label={t.replacements.pace}
        description={t.replacements.paceHint}
        inputMode="numeric"
        maw={240}
        {...form.getInputProps("pace")}
      />
      {preview.data && (
        <Notice
          tone="info"
          title={t.replacements.counted}
          action={
            <Button variant="default" size="compact-xs" onClick={() => preview.reset()}>
              {t.common.back}
            </Button>
          }
        >
          {preview.data.warnings.map((w) => (
            <div key={w}>{sentence(w)}</div>
          ))}
        </Notice>
      )}
      <FormEnd
        {...landed}
        pending={preview.isPending || keep.isPending}
        onCancel={onDone}
        label={counted ? t.replacements.keep : t.replacements.preview}
      />
    </form>
  );
}
