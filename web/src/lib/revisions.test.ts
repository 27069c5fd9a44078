import { describe, expect, it } from "vitest";
import { type Revision, resourceName, summarize } from "./revisions";

describe("the name of a resource", () => {
  it("is that of its records for a record set, and as it is for others", () => {
    expect(resourceName("rrset", "www/A@example.com").text).toBe("A www.example.com");
    expect(resourceName("rrset", "@/TXT@example.com").text).toBe("TXT example.com");
    expect(resourceName("rrset", "*.a/b.c/TYPE65280@example.com").text).toBe("TYPE65280 *.a/b.c.example.com");
    expect(resourceName("domain", "shop.example.com").text).toBe("shop.example.com");
    expect(resourceName("rrset", "unknown").text).toBe("unknown");
  });

  it("is read in Unicode, and known on the wire", () => {
    expect(resourceName("rrset", "xn--bcher-kva/A@xn--mnchen-3ya.example")).toEqual({
      text: "A bücher.münchen.example",
      wire: "A xn--bcher-kva.xn--mnchen-3ya.example",
    });
    const entry = { op: "create", kind: "domain", id: "dom_1", name: "xn--mnchen-3ya.example", diff: [] };
    const revision = { revision: 1, entries: [entry], cause: {} } as unknown as Revision;
    expect(summarize(revision)).toEqual({
      text: "Added domain münchen.example",
      more: 0,
      wire: "xn--mnchen-3ya.example",
    });
  });
});
