import createClient, { type Middleware } from "openapi-fetch";
import { t } from "@/lib/strings";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
export type Problem = Schemas["Problem"];

/** An error answer of the API (RFC 9457), or one made of it when there was none. Match on `code`, never on text. */
export class ApiError extends Error {
  constructor(readonly problem: Partial<Problem> & Pick<Problem, "title" | "status" | "code">) {
    super(problem.detail || problem.title);
    this.name = "ApiError";
  }

  get code(): string {
    return this.problem.code;
  }

  get status(): number {
    return this.problem.status;
  }

  /** What the server found wrong with one field of the body, by its JSON pointer. */
  field(pointer: string): string | undefined {
    const found = this.problem.errors?.find((e) => e.pointer === pointer);
    return found && (found.fix ? `${sentence(found.detail)} ${sentence(found.fix)}` : sentence(found.detail));
  }
}

/** A JSON pointer as a reader would say it: "/in/primaries/0/key" is "Primaries 1, key". */
export function fieldName(pointer: string): string {
  const parts = pointer
    .replace(/^(query|header|path):/, "/")
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~").replaceAll("_", " "));
  const words: string[] = [];
  for (const part of parts) {
    const last = words.at(-1);
    if (/^\d+$/.test(part) && last !== undefined) words[words.length - 1] = `${last} ${Number(part) + 1}`;
    else words.push(part);
  }
  const name = words.slice(-2).join(", ");
  return name.charAt(0).toUpperCase() + name.slice(1);
}

/** A host name, address or path: written as it is, also at the beginning of a sentence. */
const asItIs = /^\S*[./:@_]\S/;

/** The API writes fragments; on a screen they are sentences. */
export function sentence(text: string): string {
  if (text === "") return "";
  const upper = asItIs.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?:]$/.test(upper) ? upper : `${upper}.`;
}

const safe = new Set(["GET", "HEAD", "OPTIONS"]);

const guard: Middleware = {
  onRequest({ request }) {
    // The API takes a cookie's word for a write only with this header, which another site cannot send.
    if (!safe.has(request.method)) request.headers.set("X-Edgewright-CSRF", "1");
    return request;
  },
  async onResponse({ request, response }) {
    if (response.ok) return;
    let problem: Partial<Problem> = {};
    if (response.headers.get("content-type")?.includes("json")) {
      problem = (await response
        .clone()
        .json()
        .catch(() => ({}))) as Partial<Problem>;
    }
    // The API speaks of credentials and tokens; whoever was signed in here has to hear that nothing was done.
    const ended = response.status === 401 && !new URL(request.url).pathname.endsWith("/login");
    throw new ApiError({
      ...problem,
      title: problem.title ?? (response.statusText || t.errors.title),
      status: response.status,
      code: problem.code ?? "internal",
      ...(problem.detail ? { detail: sentence(ended ? t.errors.ended : problem.detail) } : {}),
    });
  },
  onError({ error }) {
    if (error instanceof DOMException && error.name === "AbortError") return; // nobody waits for this answer any more
    return new ApiError({ title: t.errors.title, status: 0, code: "network", detail: t.errors.network });
  },
};

export const api = createClient<paths>({
  baseUrl: globalThis.location?.origin ?? "/",
  credentials: "same-origin",
  fetch: (request) => globalThis.fetch(request), // looked up at each call, so that a test can stand in
});
api.use(guard);

/** The body of an answer that has one. */
export async function body<T>(call: Promise<{ data?: T }>): Promise<T> {
  const { data } = await call;
  if (data === undefined) throw new ApiError({ title: t.errors.title, status: 502, code: "internal" });
  return data;
}

/** The precondition for changing what was read at this revision. */
export function ifMatch(revision: number): { "If-Match": string } {
  return { "If-Match": `"${revision}"` };
}

declare module "@tanstack/react-query" {
  interface Register {
    defaultError: Error;
  }
}
