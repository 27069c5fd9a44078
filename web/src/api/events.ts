import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";
import type { Schemas } from "./client";

export type LiveEvent = Schemas["LiveEvent"];
export type LiveRate = Schemas["LiveRate"];
export type Rollout = Schemas["Rollout"];
export type Purge = Schemas["Purge"];

type State = "connecting" | "open" | "lost";

/** Seconds of live traffic that are kept, and the longest live window on screen. */
export const liveSeconds = 300;

/** How long a lost stream waits before it is opened again. Short: it costs one request. */
const reopenMs = 3000;

/** Changes that arrive together make one refetch of each list. */
const settleMs = 250;

/** Which cached answers a written resource makes old. Every kind also makes a revision. */
const affected: Record<string, string[]> = {
  domain: ["domains"],
  claim: ["domains"],
  transfer: ["transfers", "domains"],
  zone: ["zones", "domains"],
  rrset: ["zones"],
  tsigkey: ["zones"],
  dnsprovider: ["dns-providers"],
  placement: ["dns-placements"],
  cdn: ["cdn", "domains"],
  certificate: ["certificates", "domains"],
  ca: ["authorities"],
  replacement: ["replacements"],
  edge: ["edges"],
  project: ["projects", "session"],
  environment: ["environments", "projects", "session"],
};

class Store<T> {
  private listeners = new Set<() => void>();
  constructor(private value: T) {}
  get = (): T => this.value;
  set(value: T): void {
    this.value = value;
    for (const listener of this.listeners) listener();
  }
  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };
}

const state = new Store<State>("connecting");
const live = new Store<readonly LiveEvent[]>([]);
const rollouts = new Store<ReadonlyMap<number, Rollout>>(new Map());
const purges = new Store<ReadonlyMap<string, Purge>>(new Map());

/** Takes one event of the stream into the stores; `old` names the cached answers it makes old. */
export function receive(type: string, data: string, old: (keys: string[]) => void): void {
  if (type === "reset") {
    old(["*"]);
    return;
  }
  let event: unknown;
  try {
    event = JSON.parse(data);
  } catch {
    return; // a newer server's event that this page does not understand
  }
  switch (type) {
    case "change": {
      const change = event as Schemas["ChangeEvent"];
      const keys = affected[change.kind] ?? [];
      old(change.type === "status" ? keys : [...keys, "revisions"]);
      return;
    }
    case "rollout": {
      const { revision, rollout } = event as Schemas["RolloutEvent"];
      rollouts.set(new Map(rollouts.get()).set(revision, rollout));
      old(["domains", "cdn", "zones"]);
      return;
    }
    case "live": {
      const point = event as LiveEvent;
      const from = Date.parse(point.at) - liveSeconds * 1000;
      live.set([...live.get().filter((p) => Date.parse(p.at) > from && p.at !== point.at), point]);
      return;
    }
    case "purge": {
      const { purge } = event as Schemas["PurgeEvent"];
      purges.set(new Map(purges.get()).set(purge.purge_id, purge));
      return;
    }
    case "edge":
      old(["edges"]);
      return;
    case "held":
      old(["held"]);
      return;
    case "operation":
      old(["certificates", "domains"]);
      return;
  }
}

/** Forgets what belongs to another project or environment. */
export function forget(): void {
  live.set([]);
  rollouts.set(new Map());
  purges.set(new Map());
}

const events = ["change", "rollout", "live", "purge", "edge", "operation", "held", "reset"];

/**
 * Makes cached answers old, at most once each `settleMs`. What is being read
 * again is not asked for anew before it has come: while changes arrive faster
 * than a long list does, the list would never come at all.
 */
export function invalidator(client: Pick<QueryClient, "invalidateQueries">): ((keys: string[]) => void) & {
  stop: () => void;
} {
  const stale = new Set<string>();
  const busy = new Set<string>();
  let settle: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    settle = undefined;
    if (stale.delete("*")) {
      stale.clear();
      void client.invalidateQueries();
      return;
    }
    for (const key of [...stale]) {
      if (busy.has(key)) continue;
      stale.delete(key);
      busy.add(key);
      void client.invalidateQueries({ queryKey: [key] }).finally(() => {
        busy.delete(key);
        if (stale.has(key)) settle ??= setTimeout(flush, settleMs);
      });
    }
  };
  const old = (keys: string[]) => {
    for (const key of keys) stale.add(key);
    settle ??= setTimeout(flush, settleMs);
  };
  return Object.assign(old, {
    stop: () => {
      clearTimeout(settle);
      stale.clear();
    },
  });
}

function open(client: QueryClient, url: string): () => void {
  let source: EventSource | undefined;
  let reopen: ReturnType<typeof setTimeout> | undefined;
  const old = invalidator(client);
  const connect = () => {
    let missed = state.get() === "lost";
    source = new EventSource(url);
    source.onopen = () => {
      state.set("open");
      if (missed) old(["*"]);
      missed = false;
    };
    source.onerror = () => {
      state.set("lost");
      missed = true;
      if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      // Refused rather than broken: asking who we are tells an ended session apart.
      void client.invalidateQueries({ queryKey: ["session"] });
      reopen = setTimeout(connect, reopenMs);
    };
    for (const type of events) {
      source.addEventListener(type, (message) => receive(type, (message as MessageEvent<string>).data, old));
    }
  };
  state.set("connecting");
  connect();
  return () => {
    clearTimeout(reopen);
    old.stop();
    source?.close();
  };
}

/** Keeps the event stream of one scope open while the shell is on screen. */
export function useEventStream(scope: { project_id: string; environment: string } | null): void {
  const client = useQueryClient();
  const url = scope && `/api/v1/infrastructure/events?${new URLSearchParams(scope)}`;
  useEffect(() => {
    if (!url) return;
    const close = open(client, url);
    return () => {
      close();
      forget();
    };
  }, [client, url]);
}

export function useLiveState(): State {
  return useSyncExternalStore(state.subscribe, state.get);
}

/** The last five minutes of traffic, a point a second, oldest first. */
export function useLive(): readonly LiveEvent[] {
  return useSyncExternalStore(live.subscribe, live.get);
}

/** A revision's roll-out as last heard, or as it was read. */
export function useRollout(revision: number, read: Rollout | undefined): Rollout | undefined {
  const heard = useSyncExternalStore(rollouts.subscribe, () => rollouts.get().get(revision));
  return heard ?? read;
}

/** A purge as last heard, or as it was answered. */
export function usePurge(answered: Purge): Purge {
  const heard = useSyncExternalStore(purges.subscribe, () => purges.get().get(answered.purge_id));
  return heard && heard.edges.acknowledged >= answered.edges.acknowledged ? heard : answered;
}
