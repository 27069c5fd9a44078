import { PasswordInput, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useSession } from "@/app/session";
import { type User, useUpdateAccount } from "@/features/auth/queries";
import { emailProblem } from "@/lib/account";
import { t } from "@/lib/strings";
import { CopyText } from "@/ui/CommandLine";
import { ReviewEnd } from "@/ui/FormEnd";
import { useLanded } from "@/ui/forms";
import { NewPassword, newPasswordRules } from "@/ui/NewPassword";
import { Notice } from "@/ui/Notice";
import { Fields, Panel } from "@/ui/Panel";
import { TimeAgo } from "@/ui/Time";
import { toast } from "@/ui/UndoToast";

export function AccountTab() {
  const { user } = useSession();
  if (!user) return <Notice tone="info">{t.account.tokenSession}</Notice>;
  return (
    <div className="stack" style={{ maxWidth: 640 }}>
      <Panel title={t.account.profile}>
        <Profile key={user.revision} user={user} />
      </Panel>
      <Panel title={user.has_password ? t.account.changePassword : t.account.setPassword}>
        <Password key={user.revision} user={user} />
      </Panel>
    </div>
  );
}

function Profile({ user }: { user: User }) {
  const update = useUpdateAccount(user.revision);
  const form = useForm({
    mode: "controlled",
    initialValues: { email: user.email, name: user.name, current: "" },
    validateInputOnBlur: true,
    validate: { email: emailProblem },
  });
  const landed = useLanded(form, update.error, { "/current_password": "current" });
  const emailChanged = form.values.email.trim() !== user.email;
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit(({ email, name, current }) =>
        update.mutate(
          { email: email.trim(), name: name.trim(), ...(current ? { current_password: current } : {}) },
          {
            onSuccess: () => toast(t.account.saved),
          },
        ),
      )}
    >
      <TextInput label={t.account.email} type="email" autoComplete="username" {...form.getInputProps("email")} />
      <TextInput label={t.account.name} autoComplete="name" {...form.getInputProps("name")} />
      {emailChanged && user.has_password && (
        <PasswordInput
          label={t.account.current}
          description={t.account.currentHint}
          autoComplete="current-password"
          {...form.getInputProps("current")}
        />
      )}
      <ReviewEnd {...landed} pending={update.isPending} disabled={!form.isDirty()} label={t.account.save} />
      <Fields
        rows={[
          [t.account.id, <CopyText key="id" value={user.id} />],
          [t.account.created, <TimeAgo key="created" at={user.created_at} />],
          [t.account.lastLogin, <TimeAgo key="login" at={user.last_login_at} />],
        ]}
      />
    </form>
  );
}

function Password({ user }: { user: User }) {
  const update = useUpdateAccount(user.revision);
  const form = useForm({
    mode: "uncontrolled",
    initialValues: { current: "", password: "", repeat: "" },
    validateInputOnBlur: true,
    validate: {
      current: (value) => (user.has_password && value === "" ? t.login.required : null),
      ...newPasswordRules,
    },
  });
  const landed = useLanded(form, update.error, { "/current_password": "current", "/password": "password" });
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit(({ current, password }) =>
        update.mutate(
          { password, ...(current ? { current_password: current } : {}) },
          {
            onSuccess: () => {
              form.reset();
              toast(t.account.passwordSaved);
            },
          },
        ),
      )}
    >
      {user.has_password && (
        <PasswordInput
          label={t.account.current}
          autoComplete="current-password"
          key={form.key("current")}
          {...form.getInputProps("current")}
        />
      )}
      <NewPassword form={form} />
      <ReviewEnd
        {...landed}
        pending={update.isPending}
        label={user.has_password ? t.account.changePassword : t.account.setPassword}
      />
    </form>
  );
}
