/** What had the focus, last first; enough to find a way back out of a menu and a dialog. */
const had: HTMLElement[] = [];
const kept = 12;

document.addEventListener("focusin", ({ target }) => {
  if (!(target instanceof HTMLElement)) return;
  const before = had.indexOf(target);
  if (before >= 0) had.splice(before, 1);
  had.unshift(target);
  had.length = Math.min(had.length, kept);
});

/**
 * Gives the focus to what had it last and is still there, in the dialog that is
 * open if one is. For when a dialog has closed and there was nothing to return
 * to: the item of a menu that is gone, a button that was waiting for its answer.
 */
export function refocus(): void {
  if (document.activeElement !== document.body) return;
  const dialog = [...document.querySelectorAll('[role="dialog"][aria-modal="true"]')].at(-1);
  const first = dialog?.querySelector<HTMLElement>("[data-autofocus]") ?? document.getElementById("main");
  for (const place of [...had, first]) {
    if (!place?.isConnected || (dialog && !dialog.contains(place))) continue;
    place.focus({ preventScroll: true });
    if (document.activeElement === place) return;
  }
}
