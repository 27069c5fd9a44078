import { describe, expect, it } from "vitest";
import { readable } from "./idn";

describe("a DNS name as people read it", () => {
  it.each([
    ["xn--mnchen-3ya.example.com", "münchen.example.com"],
    ["xn--bcher-kva.xn--mnchen-3ya.example", "bücher.münchen.example"],
    ["*.XN--BCHER-KVA.example", "*.bücher.example"],
    ["_acme-challenge.xn--bcher-kva.example", "_acme-challenge.bücher.example"],
    ["xn--fsqu00a.xn--55qx5d", "例子.公司"],
    ["xn--mgbh0fb.example.com", "مثال.example.com"],
    ["xn--e1afmkfd.xn--p1ai", "пример.рф"],
    ["shop.example.com", "shop.example.com"],
  ])("%s is %s", (name, read) => {
    expect(readable(name)).toBe(read);
  });

  it.each(["xn--", "xn--a", "xn--99999999999", "xn--bcher-kv", "xn--abc-", "xn--!!", "notxn--bcher-kva"])(
    "%s, which says nothing, stays as it is",
    (name) => {
      expect(readable(`${name}.example`)).toBe(`${name}.example`);
    },
  );

  it("goes back to the same name, whatever the browser makes of it", () => {
    for (const typed of ["日本語。ＪＰ", "Straße.example", "ñandú.CL", "ｆｕｌｌwidth.example", "👍.example"]) {
      const { hostname } = new URL(`http://${typed}/`);
      expect(new URL(`http://${readable(hostname)}/`).hostname).toBe(hostname);
    }
  });
});
