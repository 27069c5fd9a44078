import { describe, expect, it } from "vitest";
import { safeNext } from "@/features/auth/LoginPage";
import { session } from "@/test/fixtures";
import { may, scopeOf } from "./session";

describe("scopeOf", () => {
  it("follows the address, by name or ID", () => {
    expect(scopeOf(session, { project: "blog" })?.project.id).toBe("prj_2");
    expect(scopeOf(session, { project: "prj_2" })?.project.name).toBe("blog");
    expect(scopeOf(session, { environment: "staging" })?.environment).toBe("staging");
  });

  it("falls back to what the account may see", () => {
    expect(scopeOf(session, {})?.query).toEqual({ project_id: "prj_1", environment: "production" });
    expect(scopeOf(session, { project: "gone", environment: "gone" })?.query).toEqual({
      project_id: "prj_1",
      environment: "production",
    });
    expect(scopeOf({ ...session, projects: [] }, {})).toBeNull();
  });

  it("knows what a role may do", () => {
    const own = scopeOf(session, {});
    const blog = scopeOf(session, { project: "blog" });
    expect(own && may(own, "owner")).toBe(true);
    expect(blog && may(blog, "developer")).toBe(false);
  });
});

describe("safeNext", () => {
  it.each([
    ["/domains?q=a", "/domains?q=a"],
    [undefined, "/"],
    ["https://evil.example", "/"],
    ["//evil.example", "/"],
    ["/\\evil.example", "/"],
    ["javascript:alert(1)", "/"],
    ["/login?link=x", "/"],
  ])("after signing in, %s leads to %s", (next, to) => {
    expect(safeNext(next)).toBe(to);
  });
});
