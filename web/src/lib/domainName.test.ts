import { describe, expect, it } from "vitest";
import { readDomain, readOrigin, readPurgePath } from "./domainName";

describe("readDomain", () => {
  it.each([
    ["shop.example.com", "shop.example.com"],
    ["  Shop.Example.COM ", "shop.example.com"],
    ["shop.example.com.", "shop.example.com"],
    ["https://shop.example.com/path?q=1#x", "shop.example.com"],
    ["http://user:pass@shop.example.com:8080/", "shop.example.com"],
    ["shop.example.com:443", "shop.example.com"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["例え.jp", "xn--r8jz45g.jp"],
    ["*.example.com", "*.example.com"],
    ["localhost", "localhost"],
    ["shop.localhost", "shop.localhost"],
  ])("understands %s", (typed, domain) => {
    expect(readDomain(typed)).toMatchObject({ ok: true, domain });
  });

  it("says when it took something away, and only then", () => {
    expect(readDomain("https://shop.example.com/a")).toMatchObject({ stripped: true });
    expect(readDomain("Shop.example.com.")).toMatchObject({ stripped: false });
    expect(readDomain("bücher.example")).toMatchObject({ stripped: false });
  });

  it.each([
    [""],
    ["   "],
    ["my shop.example.com"],
    ["192.0.2.1"],
    ["http://192.0.2.1:80/"],
    ["[2001:db8::1]"],
    ["2001:db8::1"],
    ["0x7f.1"],
    ["example"],
    ["a..example.com"],
    ["foo_bar.example.com"],
    ["-a.example.com"],
    ["a-.example.com"],
    ["x.*.example.com"],
    ["*"],
    [`${"a".repeat(64)}.example.com`],
    [`${"a.".repeat(130)}com`],
    ["ex!ample.com"],
  ])("refuses %s with a reason of its own", (typed) => {
    const read = readDomain(typed);
    expect(read.ok).toBe(false);
    if (!read.ok) expect(read.problem).not.toBe("");
  });
});

describe("readOrigin", () => {
  it.each([
    ["http://127.0.0.1:3000", "http://127.0.0.1:3000"],
    ["app.internal:3000", "http://app.internal:3000"],
    ["https://app.example.com/", "https://app.example.com"],
    ["127.0.0.1:3000", "http://127.0.0.1:3000"],
  ])("understands %s", (typed, url) => {
    expect(readOrigin(typed)).toEqual({ ok: true, url });
  });

  it.each([[""], ["ftp://host"], ["http://u:p@host"], ["http://host/path"], ["http://host?q"], ["http://"]])(
    "refuses %s",
    (typed) => {
      expect(readOrigin(typed).ok).toBe(false);
    },
  );
});

describe("readPurgePath", () => {
  it("takes paths, prefixes and URLs, and nothing else", () => {
    expect(readPurgePath(" /about ")).toBe("/about");
    expect(readPurgePath("/img/*")).toBe("/img/*");
    expect(readPurgePath("https://shop.example.com/a?b=1")).toBe("https://shop.example.com/a?b=1");
    expect(readPurgePath("about")).toBeNull();
    expect(readPurgePath("/a b")).toBeNull();
    expect(readPurgePath("ftp://host/a")).toBeNull();
  });
});
