import { useSyncExternalStore } from "react";
import { absolute, ago, duration, known } from "@/lib/format";
import { t } from "@/lib/strings";

/** One clock for all relative times on a screen: it ticks while somebody looks. */
const clock = (() => {
  let timer: ReturnType<typeof setInterval> | undefined;
  const listeners = new Set<() => void>();
  return {
    subscribe(listener: () => void) {
      listeners.add(listener);
      timer ??= setInterval(() => {
        for (const l of listeners) l();
      }, 1000);
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      };
    },
    /** Milliseconds, whole seconds only: a snapshot must not differ between two reads of one render. */
    now: () => Math.floor(Date.now() / 1000) * 1000,
  };
})();

/** The current time, once a second. */
export function useNow(): Date {
  return new Date(useSyncExternalStore(clock.subscribe, clock.now));
}

/** "3 min. ago", with the exact time on hover. */
export function TimeAgo({ at, never = t.common.never }: { at: string | null | undefined; never?: string }) {
  // The text is computed in the snapshot, so that a row renders again only when its words change.
  const text = useSyncExternalStore(clock.subscribe, () =>
    known(at) ? ago(at, new Date(Math.max(clock.now(), Date.parse(at)))) : never,
  );
  if (!known(at)) return <span className="dim">{text}</span>;
  return (
    <time dateTime={at} title={absolute(at)} className="nowrap tnum">
      {text}
    </time>
  );
}

/** "in 3 min", for what is still to come; "now" when it is due. */
export function TimeUntil({ at, never = t.common.never }: { at: string | null | undefined; never?: string }) {
  const text = useSyncExternalStore(clock.subscribe, () => {
    if (!known(at)) return never;
    return Date.parse(at) - clock.now() < 1000 ? t.common.now : ago(at, new Date(clock.now()));
  });
  if (!known(at)) return <span className="dim">{text}</span>;
  return (
    <time dateTime={at} title={absolute(at)} className="nowrap tnum">
      {text}
    </time>
  );
}

/** How long something has been going on. */
export function Elapsed({ since }: { since: string | null | undefined }) {
  const text = useSyncExternalStore(clock.subscribe, () =>
    known(since) ? duration(Math.max(0, (clock.now() - Date.parse(since)) / 1000)) : "",
  );
  return <span className="tnum nowrap">{text}</span>;
}
