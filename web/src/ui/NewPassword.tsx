import { PasswordInput } from "@mantine/core";
import type { UseFormReturnType } from "@mantine/form";
import { passwordProblem } from "@/lib/account";
import { t } from "@/lib/strings";

/** Rules of the two fields of NewPassword. */
export const newPasswordRules = {
  password: passwordProblem,
  repeat: (value: string, all: { password: string }) => (value === all.password ? null : t.login.repeatWrong),
};

/** A new password, typed twice. */
export function NewPassword<V extends { password: string; repeat: string }>({ form }: { form: UseFormReturnType<V> }) {
  return (
    <>
      <PasswordInput
        label={t.login.newPassword}
        description={t.login.passwordHint}
        autoComplete="new-password"
        key={form.key("password")}
        {...form.getInputProps("password")}
      />
      <PasswordInput
        label={t.login.repeat}
        autoComplete="new-password"
        key={form.key("repeat")}
        {...form.getInputProps("repeat")}
      />
    </>
  );
}
