import { vi } from "vitest";

export type Asked = { method: string; path: string; query: URLSearchParams; headers: Headers; body: unknown };
export type Answer = { status?: number; body?: unknown };
export type Handler = (asked: Asked) => Answer | undefined;

/**
 * Stands in for the network: `handler` answers what it knows, the rest is 404
 * as the API writes it. Returns what was asked, in order.
 */
export function fakeAPI(handler: Handler): Asked[] {
  const log: Asked[] = [];
  vi.stubGlobal("fetch", async (input: Request | string | URL, init?: RequestInit) => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    const text = await request.text();
    const asked: Asked = {
      method: request.method,
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: text === "" ? undefined : JSON.parse(text),
    };
    log.push(asked);
    const answer = handler(asked) ?? problem(404, "not_found", "there is no such thing");
    const status = answer.status ?? 200;
    return new Response(answer.body === undefined ? null : JSON.stringify(answer.body), {
      status,
      headers: { "content-type": status >= 400 ? "application/problem+json" : "application/json" },
    });
  });
  return log;
}

/** An error as the API writes it. */
export function problem(
  status: number,
  code: string,
  detail: string,
  errors: { pointer: string; detail: string; fix?: string }[] = [],
): Answer {
  return {
    status,
    body: { type: `urn:edgewright:problem:${code}`, title: code, status, detail, code, request_id: "req_test", errors },
  };
}
