import { describe, expect, it } from "vitest";
import { keyBlock, primaryBlock, readAddress, secondaryBlock, servers } from "./peers";

describe("configuration of the other side", () => {
  it("reads addresses with and without a port, of both families", () => {
    expect(readAddress("192.0.2.1")).toEqual({ host: "192.0.2.1", port: "53" });
    expect(readAddress("192.0.2.1:8053")).toEqual({ host: "192.0.2.1", port: "8053" });
    expect(readAddress("2001:db8::1")).toEqual({ host: "2001:db8::1", port: "53" });
    expect(readAddress("[2001:db8::1]:8053")).toEqual({ host: "2001:db8::1", port: "8053" });
  });

  it("names zone, key, every edge and its port where it is not 53", () => {
    const edges = [readAddress("192.0.2.1"), readAddress("[2001:db8::1]:8053")];
    for (const server of servers) {
      const text = secondaryBlock(server, "example.com", "transfer.example.com", edges);
      expect(text).toContain("example.com");
      expect(text).toContain("192.0.2.1");
      expect(text).toMatch(/2001:db8::1( port |@)8053/);
      expect(text).toContain("transfer.example.com");
      expect(text.split("{").length).toBe(text.split("}").length);
    }
    expect(secondaryBlock("bind", "example.com", "k", edges)).not.toContain("192.0.2.1 port");
  });

  it("writes the key with its secret, and a primary's part with or without a key", () => {
    const key = { name: "k.example.com", algorithm: "hmac-sha256", secret: "c2VjcmV0" };
    for (const server of servers) {
      expect(keyBlock(server, key)).toContain("c2VjcmV0");
      expect(primaryBlock(server, "example.com", key.name)).toContain(key.name);
      expect(primaryBlock(server, "example.com", "")).toContain("CONTROL_PLANE");
    }
  });
});
