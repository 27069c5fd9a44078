import { Button, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { ApiError } from "@/api/client";
import { emailProblem } from "@/lib/account";
import { t } from "@/lib/strings";
import { NewPassword, newPasswordRules } from "@/ui/NewPassword";
import { Refused } from "@/ui/Refused";
import { type User, useUpdateAccount } from "./queries";

/** The step after a first login by link: email and password for the next time. */
export function SetupForm({ user, onDone }: { user: User; onDone: () => void }) {
  const update = useUpdateAccount(user.revision);
  const form = useForm({
    mode: "uncontrolled",
    initialValues: { email: user.email, name: user.name, password: "", repeat: "" },
    validateInputOnBlur: true,
    validate: {
      email: (value) => (value === "" ? t.login.required : emailProblem(value)),
      ...newPasswordRules,
    },
  });
  return (
    <form
      className="stack"
      style={{ gap: 14 }}
      noValidate
      onSubmit={form.onSubmit(({ email, name, password }) =>
        update.mutate(
          { email: email.trim(), password, ...(name.trim() ? { name: name.trim() } : {}) },
          {
            onSuccess: onDone,
            onError: (error) => {
              if (!(error instanceof ApiError)) return;
              for (const field of ["email", "name", "password"] as const) {
                const problem = error.field(`/${field}`);
                if (problem) form.setFieldError(field, problem);
              }
            },
          },
        ),
      )}
    >
      <TextInput
        label={t.login.email}
        type="email"
        autoComplete="username"
        data-autofocus
        key={form.key("email")}
        {...form.getInputProps("email")}
      />
      <TextInput
        label={`${t.login.name} (${t.login.optional})`}
        autoComplete="name"
        key={form.key("name")}
        {...form.getInputProps("name")}
      />
      <NewPassword form={form} />
      <Refused error={update.error} />
      <Button type="submit" size="sm" loading={update.isPending}>
        {t.login.saveSetup}
      </Button>
    </form>
  );
}
