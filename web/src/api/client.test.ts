import { describe, expect, it, vi } from "vitest";
import { fakeAPI, problem } from "@/test/api";
import { ApiError, api, body, fieldName, ifMatch, sentence } from "./client";

describe("client", () => {
  it("turns a problem into an ApiError with its code and fields", async () => {
    fakeAPI(() =>
      problem(422, "invalid", "the domain is not valid", [
        { pointer: "/domain", detail: "has a space", fix: "take it out" },
      ]),
    );
    const error = await api.GET("/api/v1/session").catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ApiError);
    const failed = error as ApiError;
    expect(failed.code).toBe("invalid");
    expect(failed.message).toBe("The domain is not valid.");
    expect(failed.field("/domain")).toBe("Has a space. Take it out.");
    expect(failed.field("/origin")).toBeUndefined();
  });

  it("says so when the network is down, and when the answer is no problem document", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("failed to fetch")));
    await expect(api.GET("/api/v1/session")).rejects.toMatchObject({ code: "network", status: 0 });
    vi.stubGlobal("fetch", () => Promise.resolve(new Response("<h1>Bad gateway</h1>", { status: 502 })));
    await expect(api.GET("/api/v1/session")).rejects.toMatchObject({ code: "internal", status: 502 });
  });

  it("marks writes against forgery and names the revision", async () => {
    const log = fakeAPI(() => ({ status: 200, body: { user: {} } }));
    await body(api.PUT("/api/v1/account", { params: { header: ifMatch(7) }, body: { name: "Ada" } }));
    await api.GET("/api/v1/session");
    expect(log[0]?.headers.get("x-edgewright-csrf")).toBe("1");
    expect(log[0]?.headers.get("if-match")).toBe('"7"');
    expect(log[1]?.headers.get("x-edgewright-csrf")).toBeNull();
  });
});

it("makes sentences of fragments, and leaves names as they are", () => {
  expect(sentence("no such record")).toBe("No such record.");
  expect(sentence("shop.example.com is an alias")).toBe("shop.example.com is an alias.");
  expect(sentence("_dmarc.example.com is missing!")).toBe("_dmarc.example.com is missing!");
  expect(sentence("")).toBe("");
});

it("names what a pointer is about as a reader would", () => {
  expect(fieldName("/ttl")).toBe("Ttl");
  expect(fieldName("/values/1")).toBe("Values 2");
  expect(fieldName("/in/primaries/0/key")).toBe("Primaries 1, key");
  expect(fieldName("/credentials/api_token")).toBe("Credentials, api token");
  expect(fieldName("query:cursor")).toBe("Cursor");
});
