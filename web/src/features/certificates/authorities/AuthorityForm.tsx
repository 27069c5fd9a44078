import { Checkbox, PasswordInput, Switch, Textarea, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useState } from "react";
import { t } from "@/lib/strings";
import { FormEnd } from "@/ui/FormEnd";
import { machineText, useLanded } from "@/ui/forms";
import { Notice } from "@/ui/Notice";
import { toast } from "@/ui/UndoToast";
import { type Authority, usePutAuthority } from "../authorityQueries";
import styles from "../certificates.module.css";

const fields = {
  "/eab_key_id": "eabKey",
  "/eab_mac_key": "eabMac",
  "/root_pem": "root",
} as const;

const kinds = ["orders", "failures", "domain", "duplicates"] as const;
const hour = 3600;

/** A limit as it is typed: how many, and in how many hours. Nothing typed is no limit. */
const typed = (limits: Authority["limits"], kind: string) => {
  const found = limits.find((l) => l.kind === kind);
  return found && found.max > 0
    ? { max: String(found.max), hours: String(found.window_seconds / hour) }
    : { max: "", hours: "" };
};

/** Adds an authority, or changes one. `others` are those that would be asked instead of it. */
export function AuthorityForm({
  authority: a,
  others,
  onDone,
}: {
  authority: Authority | null;
  others: Authority[];
  onDone: () => void;
}) {
  const put = usePutAuthority(a);
  const [limits, setLimits] = useState(() =>
    Object.fromEntries(kinds.map((kind) => [kind, typed(a?.limits ?? [], kind)])),
  );
  const [tried, setTried] = useState(false);
  const form = useForm({
    mode: "controlled",
    initialValues: {
      name: a?.name ?? "",
      directory: a?.directory ?? "",
      staging: a?.staging ?? "",
      email: a?.email ?? "",
      eabKey: a?.eab_key_id ?? "",
      eabMac: "",
      profile: a?.profile ?? "",
      priority: String(a?.priority ?? 200),
      root: a?.root_pem ?? "",
      internal: a?.internal ?? false,
      disabled: a?.disabled ?? false,
      rehearse: (a?.staging ?? "") !== "",
      ownLimits: (a?.limits ?? []).length > 0,
      consent: false,
    },
    validateInputOnBlur: ["name", "directory", "priority"],
    validate: {
      name: (value) => (value.trim() === "" ? t.authorities.nameNeeded : null),
      directory: (value) => (value.trim() === "" ? t.authorities.directoryNeeded : null),
      staging: (value, { rehearse }) => (rehearse && value.trim() === "" ? t.authorities.directoryNeeded : null),
      consent: (value, { disabled }) => (stops(a, disabled) && !value ? t.authorities.consentNeeded : null),
      priority: (value) => (/^\d+$/.test(value.trim()) ? null : t.authorities.priorityWrong),
    },
  });
  const landed = useLanded(form, put.error, fields);
  const next = others.find((o) => !o.disabled && o.name !== a?.name);
  const quiet = { autoCapitalize: "off", autoComplete: "off", spellCheck: false } as const;
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit((v) => {
        setTried(true);
        if (v.ownLimits && kinds.some((kind) => limitFault(limits[kind]))) return;
        const name = v.name.trim();
        const text = {
          staging: v.rehearse ? v.staging.trim() : "",
          email: v.email.trim(),
          eab_key_id: v.eabKey.trim(),
          eab_mac_key: v.eabMac.trim(),
          profile: v.profile.trim(),
          root_pem: v.root.trim(),
        };
        put.mutate(
          {
            name,
            wish: {
              directory: v.directory.trim(),
              ...Object.fromEntries(Object.entries(text).filter(([, value]) => value !== "")),
              priority: Number(v.priority),
              internal: v.internal,
              disabled: v.disabled,
              ...(v.ownLimits && {
                limits: kinds.map((kind) => ({
                  kind,
                  max: Number(limits[kind]?.max || 0),
                  window_seconds: Math.round(Number(limits[kind]?.hours || 1) * hour),
                })),
              }),
            },
          },
          {
            onSuccess: () => {
              toast(t.authorities.saved(name));
              onDone();
            },
          },
        );
      })}
    >
      <div className={styles["two"]}>
        <TextInput
          label={t.authorities.name}
          description={t.authorities.nameHint}
          disabled={a !== null}
          {...quiet}
          {...(a === null && { "data-autofocus": true })}
          {...form.getInputProps("name")}
        />
        <TextInput
          label={t.authorities.priority}
          description={t.authorities.priorityHint}
          inputMode="numeric"
          {...form.getInputProps("priority")}
        />
      </div>
      <TextInput
        label={t.authorities.directory}
        description={t.authorities.directoryHint}
        {...quiet}
        {...form.getInputProps("directory")}
      />
      <Switch
        label={t.authorities.rehearse}
        description={t.authorities.stagingHint}
        {...form.getInputProps("rehearse", { type: "checkbox" })}
      />
      {form.values.rehearse && (
        <TextInput label={t.authorities.staging} {...quiet} {...form.getInputProps("staging")} />
      )}
      <div className={styles["two"]}>
        <TextInput label={t.authorities.email} {...quiet} {...form.getInputProps("email")} />
        <TextInput
          label={t.authorities.profile}
          placeholder={t.authorities.profileHint}
          {...quiet}
          {...form.getInputProps("profile")}
        />
        <TextInput label={t.authorities.eabKey} {...quiet} {...form.getInputProps("eabKey")} />
        <PasswordInput
          label={t.authorities.eabMac}
          placeholder={a?.eab_key_id ? t.authorities.eabMacKept : t.authorities.eabMacHint}
          autoComplete="off"
          {...form.getInputProps("eabMac")}
        />
      </div>
      <Switch
        label={t.authorities.isInternal}
        description={t.authorities.isInternalHint}
        {...form.getInputProps("internal", { type: "checkbox" })}
      />
      {form.values.internal && (
        <Textarea
          label={t.authorities.root}
          description={t.authorities.rootHint}
          rows={4}
          spellCheck={false}
          styles={machineText}
          {...form.getInputProps("root")}
        />
      )}
      <Switch
        label={t.authorities.ownLimits}
        description={t.authorities.ownLimitsHint}
        {...form.getInputProps("ownLimits", { type: "checkbox" })}
      />
      {form.values.ownLimits && (
        <Limits limits={limits} tried={tried} onChange={(kind, next) => setLimits({ ...limits, [kind]: next })} />
      )}
      <Switch
        label={t.authorities.disabled}
        description={t.authorities.disabledHint}
        {...form.getInputProps("disabled", { type: "checkbox" })}
      />
      {stops(a, form.values.disabled) && (
        <Notice tone="warn" alert>
          {next ? t.authorities.stopsNext(a?.name ?? "", next.name) : t.authorities.stopsAll(a?.name ?? "")}
          <Checkbox
            size="xs"
            mt={8}
            label={t.authorities.consent}
            {...form.getInputProps("consent", { type: "checkbox" })}
          />
        </Notice>
      )}
      <FormEnd {...landed} pending={put.isPending} onCancel={onDone} label={t.authorities.save} />
    </form>
  );
}

/** Whether saving it so ends that anything is ordered there. */
const stops = (a: Authority | null, disabled: boolean) => a !== null && !a.disabled && disabled;

type Typed = { max: string; hours: string };

/** A number from 1 on, and then hours above 0; both empty is no limit. */
function limitFault(limit: Typed | undefined): string | null {
  if (!limit || (limit.max.trim() === "" && limit.hours.trim() === "")) return null;
  const fits =
    /^[1-9]\d*$/.test(limit.max.trim()) && /^\d+(\.\d+)?$/.test(limit.hours.trim()) && Number(limit.hours) > 0;
  return fits ? null : t.authorities.limitWrong;
}

function Limits({
  limits,
  tried,
  onChange,
}: {
  limits: Record<string, Typed>;
  tried: boolean;
  onChange: (kind: string, next: Typed) => void;
}) {
  return kinds.map((kind) => {
    const now = limits[kind] ?? { max: "", hours: "" };
    const what = t.authorities.limitKinds[kind] ?? kind;
    return (
      <div key={kind} className={styles["two"]}>
        <TextInput
          label={t.authorities.limitMax(what)}
          placeholder={t.authorities.limitNone}
          inputMode="numeric"
          value={now.max}
          onChange={(event) => onChange(kind, { ...now, max: event.currentTarget.value })}
          error={tried && limitFault(now)}
        />
        <TextInput
          label={t.authorities.limitHours(what)}
          inputMode="decimal"
          value={now.hours}
          onChange={(event) => onChange(kind, { ...now, hours: event.currentTarget.value })}
        />
      </div>
    );
  });
}
