import { describe, expect, it } from "vitest";
import { resourceName } from "./revisions";

describe("the name of a resource", () => {
  it("is that of its records for a record set, and as it is for others", () => {
    expect(resourceName("rrset", "www/A@example.com")).toBe("A www.example.com");
    expect(resourceName("rrset", "@/TXT@example.com")).toBe("TXT example.com");
    expect(resourceName("rrset", "*.a/b.c/TYPE65280@example.com")).toBe("TYPE65280 *.a/b.c.example.com");
    expect(resourceName("domain", "shop.example.com")).toBe("shop.example.com");
    expect(resourceName("rrset", "unknown")).toBe("unknown");
  });
});
