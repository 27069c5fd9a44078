import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { emailProblem } from "@/lib/account";
import { t } from "@/lib/strings";
import { Refused } from "@/ui/Refused";
import { useLogin } from "./queries";

/** Email and password; on the login page and over a page whose session has ended. */
export function LoginForm({ onDone }: { onDone: () => void }) {
  const login = useLogin();
  const form = useForm({
    mode: "uncontrolled",
    initialValues: { email: "", password: "" },
    validateInputOnBlur: ["email"],
    validate: {
      email: (value) => (value === "" ? t.login.required : emailProblem(value)),
      password: (value) => (value === "" ? t.login.required : null),
    },
  });
  return (
    <form
      className="stack"
      style={{ gap: 14 }}
      onSubmit={form.onSubmit(({ email, password }) =>
        login.mutate({ email: email.trim(), password }, { onSuccess: onDone }),
      )}
      noValidate
    >
      <TextInput
        label={t.login.email}
        type="email"
        autoComplete="username"
        data-autofocus
        key={form.key("email")}
        {...form.getInputProps("email")}
      />
      <PasswordInput
        label={t.login.password}
        autoComplete="current-password"
        key={form.key("password")}
        {...form.getInputProps("password")}
      />
      <Refused error={login.error} />
      <Button type="submit" size="sm" loading={login.isPending}>
        {t.login.submit}
      </Button>
    </form>
  );
}
