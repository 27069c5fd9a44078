import { lazyRouteComponent } from "@tanstack/react-router";

/** How long a screen's code waits before it is asked for again. */
const againMs = 2000;

/** Whether the server answers, whatever it says; a proxy that speaks for one that is away does not count. */
async function serverAnswers(): Promise<boolean> {
  const answer = await globalThis.fetch("/", { method: "HEAD", cache: "no-store" }).catch(() => null);
  return answer !== null && answer.status < 502;
}

/**
 * Loads a screen's code, and waits for the server while it is away: what is on
 * the page stays, and the screen comes by itself. Rejects when the server is
 * there and the code is not, which is a page older than the binary.
 */
export async function patiently<T>(
  load: () => Promise<T>,
  answers: () => Promise<boolean> = serverAnswers,
  pause = () => new Promise<void>((ok) => setTimeout(ok, againMs)),
): Promise<T> {
  try {
    return await load();
  } catch {
    while (!(await answers())) await pause();
    return load();
  }
}

/** A screen whose code is loaded when it is first gone to. */
export const screen: typeof lazyRouteComponent = (load, name) => lazyRouteComponent(() => patiently(load), name);
