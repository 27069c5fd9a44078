import { ActionIcon, Drawer, Loader, Menu, Modal, Tooltip, useMantineColorScheme } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { spotlight } from "@mantine/spotlight";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useRouter, useRouterState } from "@tanstack/react-router";
import { Suspense, useEffect } from "react";
import { ApiError, api } from "@/api/client";
import { useEventStream, useLiveState } from "@/api/events";
import { LoginForm } from "@/features/auth/LoginForm";
import { t } from "@/lib/strings";
import { EmptyState } from "@/ui/EmptyState";
import { Icon, type IconName, Mark } from "@/ui/icons";
import { ErrorState, SkeletonRows } from "@/ui/PageState";
import { CommandPalette } from "./CommandPalette";
import { HeldBack } from "./HeldBack";
import { Remarks } from "./Remarks";
import { ScopeSwitch } from "./ScopeSwitch";
import { Shortcuts, shortcutsHelp } from "./Shortcuts";
import { expiry, type Session, scopeOf, sessionQuery, useExpired } from "./session";
import styles from "./shell.module.css";

export const pages = [
  { to: "/", label: t.nav.overview, icon: "overview", key: "o" },
  { to: "/domains", label: t.nav.domains, icon: "globe", key: "d" },
  { to: "/certificates", label: t.nav.certificates, icon: "certificate", key: "c" },
  { to: "/edges", label: t.nav.edges, icon: "edges", key: "e" },
  { to: "/activity", label: t.nav.activity, icon: "activity", key: "a" },
  { to: "/settings", label: t.nav.settings, icon: "settings", key: "s" },
] as const satisfies { to: string; label: string; icon: IconName; key: string }[];

/** The frame of every screen behind the login: it holds the session, the scope and the event stream. */
export function Shell() {
  const session = useQuery(sessionQuery());
  if (session.data) return <Frame session={session.data} />;
  if (session.error instanceof ApiError && session.error.status === 401) return <ToLogin />;
  return (
    <main className={styles["splash"]}>
      {session.error ? (
        <ErrorState error={session.error} onRetry={() => void session.refetch()} />
      ) : (
        <Loader size="sm" aria-label={t.common.loading} />
      )}
    </main>
  );
}

/** Leads to the login, once: this is still on screen while the login's code is on its way. */
function ToLogin() {
  const router = useRouter();
  useEffect(() => {
    const { href, pathname } = router.state.location;
    if (pathname === "/login") return;
    void router.navigate({ to: "/login", search: href === "/" ? {} : { next: href }, replace: true });
  }, [router]);
  return (
    <main className={styles["splash"]}>
      <Loader size="sm" aria-label={t.common.loading} />
    </main>
  );
}

function Frame({ session }: { session: Session }) {
  const [menu, { open, close }] = useDisclosure();
  const { search } = useLocation();
  // Of the page that is on screen: while the next one is on its way, what was clicked has the focus still.
  const pathname = useRouterState({ select: (s) => s.resolvedLocation?.pathname });
  const scope = scopeOf(session, search);
  useEventStream(scope?.query ?? null);

  // A new page starts at its beginning for who hears it, as it does for who sees it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the page changes
  useEffect(() => {
    const main = document.getElementById("main");
    // A field of the new page may have taken the cursor already.
    if (!main?.contains(document.activeElement)) main?.focus({ preventScroll: true });
  }, [pathname]);

  return (
    <div className={styles["frame"]}>
      <a className="skip" href="#main">
        {t.common.skip}
      </a>
      <aside className={styles["side"]}>
        <Brand />
        <Nav />
        <div className={styles["sideFoot"]}>
          {t.product} {session.version}
        </div>
      </aside>
      <section className={styles["head"]} aria-label={t.head.label}>
        <ActionIcon
          size={34}
          className={styles["onlySmall"]}
          aria-label={t.nav.menu}
          aria-expanded={menu}
          onClick={open}
        >
          <Icon name="menu" size={18} />
        </ActionIcon>
        {scope && <ScopeSwitch session={session} scope={scope} />}
        <div className={styles["headEnd"]}>
          <LiveMark />
          <button type="button" className={styles["search"]} onClick={spotlight.open} aria-label={t.head.searchLabel}>
            <Icon name="search" size={15} />
            <span>{t.head.search}</span>
            <kbd className={styles["kbd"]}>Ctrl K</kbd>
          </button>
          <AccountMenu session={session} />
        </div>
      </section>
      <main className={styles["main"]} id="main" tabIndex={-1}>
        <Suspense fallback={<SkeletonRows rows={8} />}>
          <HeldBack session={session} />
          {scope && <Remarks scope={scope} wanted={search} />}
          {scope ? <Outlet /> : <EmptyState icon="layers" title={t.errors.forbidden} level={2} />}
        </Suspense>
        <div id="overlays" />
      </main>
      <Drawer
        opened={menu}
        onClose={close}
        size={256}
        title={t.product}
        closeButtonProps={{ "aria-label": t.nav.closeMenu }}
      >
        <Nav onNavigate={close} />
      </Drawer>
      {scope && <CommandPalette session={session} scope={scope} />}
      <Shortcuts />
      <Expired />
    </div>
  );
}

function Brand() {
  return (
    <Link to="/" className={styles["brand"]}>
      <Mark />
      {t.product}
    </Link>
  );
}

function Nav({ onNavigate }: { onNavigate?: () => void }) {
  return (
    <nav className={styles["nav"]} aria-label={t.nav.label}>
      {pages.map((page) => (
        <Link
          key={page.to}
          to={page.to}
          className={styles["navLink"]}
          activeOptions={{ exact: page.to === "/", includeSearch: false }}
          activeProps={{ "aria-current": "page" }}
          {...(onNavigate && { onClick: onNavigate })}
        >
          <Icon name={page.icon} />
          {page.label}
        </Link>
      ))}
    </nav>
  );
}

function LiveMark() {
  const state = useLiveState();
  const on = state === "open";
  return (
    <Tooltip label={on ? t.head.liveTitle : t.head.reconnectingTitle}>
      <span className={`${styles["live"]} ${on ? "" : styles["liveOff"]}`} role="status">
        <span className={styles["liveDot"]} aria-hidden="true" />
        <span>{on ? t.head.live : t.head.reconnecting}</span>
      </span>
    </Tooltip>
  );
}

const schemes = [
  ["light", t.head.light, "sun"],
  ["dark", t.head.dark, "moon"],
  ["auto", t.head.system, "monitor"],
] as const;

function AccountMenu({ session }: { session: Session }) {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const signOut = useSignOut();
  const name = session.user?.name || session.user?.email || session.principal.name || t.head.token;
  return (
    <Menu position="bottom-end" width={232}>
      <Menu.Target>
        <ActionIcon size={32} aria-label={t.head.account}>
          <Icon name="user" size={18} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label className="truncate">{name}</Menu.Label>
        <Menu.Divider />
        <Menu.Label>{t.head.scheme}</Menu.Label>
        {schemes.map(([value, label, icon]) => (
          <Menu.Item
            key={value}
            closeMenuOnClick={false}
            leftSection={<Icon name={icon} size={15} />}
            rightSection={colorScheme === value && <Icon name="check" size={14} />}
            onClick={() => setColorScheme(value)}
          >
            {label}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item
          renderRoot={(props) => <Link {...props} to="/settings" />}
          leftSection={<Icon name="settings" size={15} />}
        >
          {t.nav.settings}
        </Menu.Item>
        <Menu.Item leftSection={<Icon name="help" size={15} />} onClick={shortcutsHelp.open}>
          {t.head.shortcuts}
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item leftSection={<Icon name="signOut" size={15} />} onClick={signOut}>
          {t.head.signOut}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

/** Ends the session here and on the server, then shows the login. */
export function useSignOut(): () => void {
  const client = useQueryClient();
  const router = useRouter();
  return () => {
    // Whether the server heard it or not, this browser forgets what it has seen.
    void api
      .POST("/api/v1/logout")
      .catch(() => undefined)
      .finally(async () => {
        await router.navigate({ to: "/login", search: { signed_out: true } });
        client.clear();
      });
  };
}

/** Above every dialog that may be open when a session ends (Mantine's are at 200). */
const overDialogs = 400;

/** Over the page, not instead of it: a form half filled in is still there after signing in again. */
function Expired() {
  const expired = useExpired();
  const client = useQueryClient();
  return (
    <Modal
      opened={expired}
      onClose={() => undefined}
      withCloseButton={false}
      closeOnEscape={false}
      closeOnClickOutside={false}
      zIndex={overDialogs}
      title={t.login.expired}
    >
      <div className="stack">
        <p className="dim">{t.login.expiredText}</p>
        <LoginForm
          onDone={() => {
            expiry.set(false);
            void client.invalidateQueries();
          }}
        />
      </div>
    </Modal>
  );
}
