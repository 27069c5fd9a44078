import { Modal } from "@mantine/core";
import { useRouter } from "@tanstack/react-router";
import { useEffect, useSyncExternalStore } from "react";
import { t } from "@/lib/strings";
import { pages } from "./Shell";
import styles from "./shell.module.css";

/** Whether the list of shortcuts is open; the account menu and the palette open it too. */
export const shortcutsHelp = (() => {
  let opened = false;
  const listeners = new Set<() => void>();
  const set = (next: boolean) => {
    opened = next;
    for (const l of listeners) l();
  };
  return {
    open: () => set(true),
    close: () => set(false),
    get: () => opened,
    subscribe(listener: () => void) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
  };
})();

function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

/** How long "g" waits for the letter of a page. */
const sequenceMs = 1200;

/** Keys that work on every screen, and the list of them. */
export function Shortcuts() {
  const router = useRouter();
  const opened = useSyncExternalStore(shortcutsHelp.subscribe, shortcutsHelp.get);

  useEffect(() => {
    let goUntil = 0;
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
      if (document.querySelector('[role="dialog"][aria-modal="true"]')) return;
      const going = event.timeStamp < goUntil;
      goUntil = 0;
      const page = going ? pages.find((p) => p.key === event.key) : undefined;
      if (page) void router.navigate({ to: page.to });
      else if (event.key === "g") {
        goUntil = event.timeStamp + sequenceMs;
        return;
      } else if (event.key === "?") shortcutsHelp.open();
      else if (event.key === "n") void router.navigate({ to: "/domains/add" });
      else if (event.key === "/") document.querySelector<HTMLElement>("[data-filter]")?.focus();
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [router]);

  const rows: [keys: string[], what: string][] = [
    [["Ctrl", "K"], t.shortcuts.palette],
    [["/"], t.shortcuts.filter],
    [["n"], t.shortcuts.add],
    ...pages.map((p): [string[], string] => [["g", p.key], `${t.shortcuts.go} ${p.label}`]),
    [["?"], t.shortcuts.help],
    [["Esc"], t.shortcuts.escape],
  ];
  return (
    <Modal opened={opened} onClose={shortcutsHelp.close} title={t.shortcuts.title} size="sm">
      <table style={{ width: "100%" }} aria-label={t.shortcuts.title}>
        <tbody>
          {rows.map(([keys, what]) => (
            <tr key={what}>
              <th scope="row" style={{ textAlign: "start", fontWeight: 400, padding: "5px 0" }}>
                {what}
              </th>
              <td style={{ textAlign: "end" }}>
                {keys.map((key, i) => (
                  <span key={key}>
                    {i > 0 && <span className="dim small"> {keys[0] === "g" ? t.shortcuts.and : "+"} </span>}
                    <kbd className={styles["kbd"]}>{key}</kbd>
                  </span>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Modal>
  );
}
