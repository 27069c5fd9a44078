import { Button, Loader } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { type ReactNode, useEffect, useState } from "react";
import { sessionKey } from "@/app/session";
import styles from "@/app/shell.module.css";
import { t } from "@/lib/strings";
import { CommandLine } from "@/ui/CommandLine";
import { Mark } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import { LoginForm } from "./LoginForm";
import { spendLink, type User } from "./queries";
import { SetupForm } from "./SetupForm";

const route = getRouteApi("/login");

/** Only a path of this dashboard: never a way out to another site. */
export function safeNext(next: string | undefined): string {
  return next && /^\/(?![/\\])/.test(next) && !next.startsWith("/login") ? next : "/";
}

/** Sign in by one-time link or by email and password. */
export function LoginPage() {
  const { link, next, signed_out } = route.useSearch();
  const router = useRouter();
  const client = useQueryClient();
  const [setup, setSetup] = useState<User | null>(null);
  const spent = useQuery({
    queryKey: ["login-link", link],
    queryFn: () => spendLink(link ?? ""),
    enabled: link !== undefined && setup === null,
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
  });

  const enter = async () => {
    await client.invalidateQueries({ queryKey: sessionKey });
    router.history.replace(safeNext(next));
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: runs once, when the link has been answered
  useEffect(() => {
    if (!spent.data) return;
    if (spent.data.must_set_password) setSetup(spent.data.user);
    else void enter();
  }, [spent.data]);

  if (setup) {
    return (
      <Frame title={t.login.setupTitle} text={t.login.setupText}>
        <SetupForm user={setup} onDone={() => void enter()} />
      </Frame>
    );
  }
  if (link !== undefined && spent.error) {
    return (
      <Frame title={t.login.linkFailed}>
        <div className="stack">
          <Notice tone="bad" alert>
            {spent.error.message}
          </Notice>
          <p className="dim">{t.login.linkUsed}</p>
          <CommandLine command={t.login.linkCommand} label={t.copy.value(t.login.linkCommand)} />
          <Button
            variant="default"
            onClick={() => void router.navigate({ to: "/login", search: next ? { next } : {} })}
          >
            {t.login.usePassword}
          </Button>
        </div>
      </Frame>
    );
  }
  if (link !== undefined) {
    return (
      <Frame title={t.login.linkTitle}>
        <Loader size="sm" aria-label={t.common.loading} />
      </Frame>
    );
  }
  return (
    <Frame title={t.login.title} {...(signed_out ? { text: t.login.signedOut } : {})}>
      <LoginForm onDone={() => void enter()} />
      <div className="stack tight" style={{ marginTop: 20 }}>
        <p className="dim small">{t.login.noPassword}</p>
        <CommandLine command={t.login.linkCommand} label={t.copy.value(t.login.linkCommand)} />
      </div>
    </Frame>
  );
}

function Frame({ title, text, children }: { title: string; text?: string; children: ReactNode }) {
  return (
    <main className={styles["loginPage"]}>
      <div className={styles["loginBox"]}>
        <div className={styles["loginBrand"]}>
          <Mark size={28} />
          {t.product}
        </div>
        <div className={styles["card"]}>
          <h1>{title}</h1>
          {text && <p className="dim">{text}</p>}
          <div style={{ marginTop: 16 }}>{children}</div>
        </div>
      </div>
    </main>
  );
}
