import type { KeySecret } from "./transferQueries";

/** The server on the other side, for which its configuration is written. */
export const servers = ["bind", "knot", "nsd"] as const;
export type Server = (typeof servers)[number];

export type Address = { host: string; port: string };

/** "192.0.2.1", "192.0.2.1:53" or "[2001:db8::1]:53", in parts. */
export function readAddress(text: string): Address {
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(text);
  if (bracketed) return { host: bracketed[1] ?? "", port: bracketed[2] ?? "53" };
  const colons = text.split(":").length - 1;
  if (colons !== 1) return { host: text, port: "53" };
  const [host = "", port = "53"] = text.split(":");
  return { host, port };
}

/** "transfer.example.com." as names of blocks, which some servers want without dots. */
const id = (text: string) => text.replace(/\.$/, "").replace(/[^a-z0-9]+/gi, "-");

/** The key as the other side has it; without its secret, a gap that says so. */
export function keyBlock(server: Server, key: Pick<KeySecret, "name" | "algorithm"> & { secret: string }): string {
  const { name, algorithm, secret } = key;
  switch (server) {
    case "bind":
      return `key "${name}" {\n    algorithm ${algorithm};\n    secret "${secret}";\n};`;
    case "knot":
      return `key:\n  - id: ${name}\n    algorithm: ${algorithm}\n    secret: ${secret}`;
    case "nsd":
      return `key:\n    name: "${name}"\n    algorithm: ${algorithm}\n    secret: "${secret}"`;
  }
}

/** What a secondary's configuration says, so that it takes the zone from our edges. */
export function secondaryBlock(server: Server, zone: string, key: string, edges: Address[]): string {
  switch (server) {
    case "bind":
      return [
        `zone "${zone}" {`,
        "    type secondary;",
        `    file "${zone}.db";`,
        "    primaries {",
        ...edges.map((e) => `        ${e.host}${e.port === "53" ? "" : ` port ${e.port}`} key "${key}";`),
        "    };",
        `    allow-notify { key "${key}"; };`,
        "};",
      ].join("\n");
    case "knot":
      return [
        "remote:",
        ...edges.flatMap((e, i) => [`  - id: edge-${i + 1}`, `    address: ${e.host}@${e.port}`, `    key: ${key}`]),
        "",
        "acl:",
        `  - id: notify-${id(zone)}`,
        `    key: ${key}`,
        "    action: notify",
        "",
        "zone:",
        `  - domain: ${zone}`,
        `    master: [${edges.map((_, i) => `edge-${i + 1}`).join(", ")}]`,
        `    acl: notify-${id(zone)}`,
      ].join("\n");
    case "nsd":
      return [
        "zone:",
        `    name: "${zone}"`,
        `    zonefile: "${zone}.zone"`,
        ...edges.flatMap((e) => [
          `    allow-notify: ${e.host} ${key}`,
          `    request-xfr: ${e.host}${e.port === "53" ? "" : `@${e.port}`} ${key}`,
        ]),
      ].join("\n");
  }
}

/** What a primary's configuration says, so that it gives the zone to us. Without a key, anybody who may ask gets it. */
export function primaryBlock(server: Server, zone: string, key: string): string {
  switch (server) {
    case "bind":
      return [
        `zone "${zone}" {`,
        "    type primary;",
        `    file "${zone}.db";`,
        key ? `    allow-transfer { key "${key}"; };` : "    allow-transfer { CONTROL_PLANE; };",
        "};",
      ].join("\n");
    case "knot":
      return [
        "acl:",
        `  - id: transfer-${id(zone)}`,
        key ? `    key: ${key}` : "    address: CONTROL_PLANE",
        "    action: transfer",
        "",
        "zone:",
        `  - domain: ${zone}`,
        `    acl: transfer-${id(zone)}`,
      ].join("\n");
    case "nsd":
      return [
        "zone:",
        `    name: "${zone}"`,
        `    zonefile: "${zone}.zone"`,
        `    provide-xfr: ${key ? `0.0.0.0/0 ${key}` : "CONTROL_PLANE NOKEY"}`,
      ].join("\n");
  }
}
