/**
 * Reads as much of certificates and keys as is needed to tell, while somebody
 * pastes them, whether they belong together: PEM (RFC 7468), DER, X.509 (RFC
 * 5280), PKCS #1, PKCS #8, SEC 1. Nothing leaves the browser for that. What is
 * decided is decided by the API; here a thing that cannot be read is unknown,
 * never wrong.
 */

export type PemBlock = { label: string; der: Uint8Array | null };

export type ReadCertificate = {
  subject: string;
  issuer: string;
  /** Hex of the names' DER, which tells issuers apart better than what is shown. */
  rawSubject: string;
  rawIssuer: string;
  names: string[];
  from: Date;
  until: Date;
  authority: boolean;
  /** What the public key is known by: an RSA modulus or a curve's point, in hex. */
  key: string | null;
};

const limit = 300_000; // characters; the API takes fewer

/** The blocks of a PEM text in order; one whose content is damaged has no DER. */
export function pemBlocks(text: string): PemBlock[] {
  const found = text.slice(0, limit).matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/g);
  return [...found].map((m) => ({ label: m[1] ?? "", der: base64(m[2] ?? "") }));
}

function base64(text: string): Uint8Array | null {
  try {
    return Uint8Array.from(atob(text.replace(/\s+/g, "")), (c) => c.charCodeAt(0));
  } catch {
    return null; // damaged, or with headers, as an encrypted key of old has
  }
}

type Node = { tag: number; body: Uint8Array; raw: Uint8Array };

/** The elements of a DER sequence; throws when lengths do not fit. */
function elements(der: Uint8Array): Node[] {
  const out: Node[] = [];
  for (let at = 0; at < der.length; ) {
    const tag = der[at] ?? 0;
    let length = der[at + 1] ?? 0;
    let head = 2;
    if (length >= 0x80) {
      const bytes = length & 0x7f;
      if (bytes === 0 || bytes > 3) throw new RangeError("length");
      length = 0;
      for (let i = 0; i < bytes; i++) length = length * 256 + (der[at + 2 + i] ?? 0);
      head += bytes;
    }
    const end = at + head + length;
    if (end > der.length) throw new RangeError("truncated");
    out.push({ tag, body: der.subarray(at + head, end), raw: der.subarray(at, end) });
    at = end;
  }
  return out;
}

function child(nodes: Node[], index: number): Node {
  const found = nodes[index];
  if (!found) throw new RangeError("missing element");
  return found;
}

const inside = (node: Node) => elements(node.body);
const hex = (bytes: Uint8Array) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
const text = new TextDecoder();

const oid = {
  commonName: "550403",
  organization: "55040a",
  alternativeNames: "551d11",
  basicConstraints: "551d13",
  rsa: "2a864886f70d010101",
  curve: "2a8648ce3d0201",
};

function nameText(name: Node): string {
  const parts = inside(name).flatMap((set) =>
    inside(set).map((pair) => {
      const [type, value] = inside(pair);
      return { type: type ? hex(type.body) : "", value: value ? text.decode(value.body) : "" };
    }),
  );
  const of = (type: string) => parts.find((p) => p.type === type)?.value;
  return of(oid.commonName) || of(oid.organization) || "";
}

/** UTCTime with its two-digit year, or GeneralizedTime (RFC 5280 section 4.1.2.5). */
function time(node: Node): Date {
  let digits = text.decode(node.body);
  if (node.tag === 0x17) digits = (Number(digits.slice(0, 2)) < 50 ? "20" : "19") + digits;
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(digits) ?? [];
  return new Date(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`);
}

/** An integer without the zero that keeps it positive. */
const integer = (node: Node) => hex(node.body).replace(/^(00)+/, "");

function publicKey(info: Node): string | null {
  const parts = inside(info);
  const kind = hex(child(inside(child(parts, 0)), 0).body);
  const bits = child(parts, 1).body.subarray(1); // after the count of unused bits
  if (kind === oid.curve) return hex(bits);
  if (kind === oid.rsa) return integer(child(inside(child(elements(bits), 0)), 0));
  return null;
}

function address(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1); // shortened as RFC 5952 wants
}

/** A certificate, or null for what is none. */
export function readCertificate(der: Uint8Array): ReadCertificate | null {
  try {
    const tbs = inside(child(inside(child(elements(der), 0)), 0));
    const at = tbs[0]?.tag === 0xa0 ? 1 : 0; // the version may be left out
    const issuer = child(tbs, at + 2);
    const [from, until] = inside(child(tbs, at + 3));
    const subject = child(tbs, at + 4);
    const names: string[] = [];
    let authority = false;
    const extensions = tbs.find((n) => n.tag === 0xa3);
    for (const extension of extensions ? inside(child(inside(extensions), 0)) : []) {
      const parts = inside(extension);
      const content = elements(child(parts, parts.length - 1).body);
      switch (hex(child(parts, 0).body)) {
        case oid.alternativeNames:
          for (const n of inside(child(content, 0))) {
            if (n.tag === 0x82) names.push(text.decode(n.body).toLowerCase());
            if (n.tag === 0x87) names.push(address(n.body));
          }
          break;
        case oid.basicConstraints:
          authority = inside(child(content, 0))[0]?.tag === 0x01;
          break;
      }
    }
    if (!from || !until) return null;
    return {
      subject: nameText(subject),
      issuer: nameText(issuer),
      rawSubject: hex(subject.raw),
      rawIssuer: hex(issuer.raw),
      names,
      from: time(from),
      until: time(until),
      authority,
      key: publicKey(child(tbs, at + 5)),
    };
  } catch {
    return null;
  }
}

/** What the public half of a private key is known by; null when that cannot be told. */
export function readPrivateKey(block: PemBlock): string | null {
  try {
    if (!block.der) return null;
    const parts = inside(child(elements(block.der), 0));
    switch (block.label) {
      case "RSA PRIVATE KEY":
        return integer(child(parts, 1));
      case "EC PRIVATE KEY":
        return curvePoint(parts);
      case "PRIVATE KEY": {
        const kind = hex(child(inside(child(parts, 1)), 0).body);
        const inner = inside(child(elements(child(parts, 2).body), 0));
        if (kind === oid.rsa) return integer(child(inner, 1));
        return kind === oid.curve ? curvePoint(inner) : null;
      }
    }
    return null;
  } catch {
    return null;
  }
}

/** The point that a key of a curve carries, which is optional (RFC 5915). */
function curvePoint(parts: Node[]): string | null {
  const point = parts.find((p) => p.tag === 0xa1);
  return point ? hex(child(inside(point), 0).body.subarray(1)) : null;
}

/** Whether a certificate for names is valid for a host: literally, or by a wildcard of one label (RFC 6125). */
export function covers(names: string[], host: string): boolean {
  const wanted = host.toLowerCase();
  const parent = wanted.slice(wanted.indexOf(".") + 1);
  return names.some((n) => n === wanted || (!wanted.startsWith("*.") && n === `*.${parent}`));
}
