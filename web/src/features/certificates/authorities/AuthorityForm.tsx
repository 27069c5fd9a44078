import { PasswordInput, Switch, Textarea, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { t } from "@/lib/strings";
import { FormEnd } from "@/ui/FormEnd";
import { machineText, useLanded } from "@/ui/forms";
import { toast } from "@/ui/UndoToast";
import { type Authority, usePutAuthority } from "../authorityQueries";
import styles from "../certificates.module.css";

const fields = {
  "/eab_key_id": "eabKey",
  "/eab_mac_key": "eabMac",
  "/root_pem": "root",
} as const;

/** Adds an authority, or changes one. Its limits stay as they are: the API's are a little below Let's Encrypt's. */
export function AuthorityForm({ authority: a, onDone }: { authority: Authority | null; onDone: () => void }) {
  const put = usePutAuthority(a);
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
    },
    validateInputOnBlur: ["name", "directory", "priority"],
    validate: {
      name: (value) => (value.trim() === "" ? t.authorities.nameNeeded : null),
      directory: (value) => (value.trim() === "" ? t.authorities.directoryNeeded : null),
      priority: (value) => (/^\d+$/.test(value.trim()) ? null : t.authorities.priorityWrong),
    },
  });
  const landed = useLanded(form, put.error, fields);
  const quiet = { autoCapitalize: "off", autoComplete: "off", spellCheck: false } as const;
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit((v) => {
        const name = v.name.trim();
        const text = {
          staging: v.staging.trim(),
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
              ...(a?.id
                ? { limits: a.limits.map(({ kind, max, window_seconds }) => ({ kind, max, window_seconds })) }
                : {}),
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
      <TextInput
        label={t.authorities.staging}
        description={t.authorities.stagingHint}
        {...quiet}
        {...form.getInputProps("staging")}
      />
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
        label={t.authorities.disabled}
        description={t.authorities.disabledHint}
        {...form.getInputProps("disabled", { type: "checkbox" })}
      />
      <FormEnd {...landed} pending={put.isPending} onCancel={onDone} label={t.authorities.save} />
    </form>
  );
}
