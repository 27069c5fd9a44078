import { date } from "@/lib/format";
import { t } from "@/lib/strings";
import type { Tone } from "@/ui/StatusBadge";
import { covers, pemBlocks, type ReadCertificate, readCertificate, readPrivateKey } from "./x509";

/** One thing seen in what was pasted. `about` is its place in a fixed order of questions. */
export type Finding = { about: "content" | "names" | "dates" | "key" | "chain"; tone: Tone; text: string };

const day = 86_400_000;

/**
 * What can be told of a certificate and key while they are being pasted. With
 * `requests`, a missing key is no fault: it may be that of a request made here.
 */
export function findings(domain: string, chain: string, key: string, now = new Date()): Finding[] {
  const blocks = pemBlocks(chain);
  const read = blocks
    .filter((b) => b.label.endsWith("CERTIFICATE"))
    .map((b) => (b.der ? readCertificate(b.der) : null));
  const certificates = read.filter((c) => c !== null);
  if (read.length === 0) return [];
  const words = t.certificateOwn.findings;
  if (certificates.length < read.length) return [{ about: "content", tone: "bad", text: words.damaged }];

  const own = [...pemBlocks(key), ...blocks].filter((b) => b.label.endsWith("PRIVATE KEY"));
  const [first] = own;
  const secret = first ? readPrivateKey(first) : null;
  const leaf =
    certificates.find((c) => c.key !== null && c.key === secret) ??
    certificates.find((c) => !c.authority) ??
    certificates[0];
  if (!leaf) return [];

  const out: Finding[] = [
    covers(leaf.names, domain)
      ? { about: "names", tone: "ok", text: words.covers(leaf.names.join(", ")) }
      : { about: "names", tone: "bad", text: words.otherNames(leaf.names.join(", ") || leaf.subject, domain) },
    dates(leaf, now),
  ];
  if (!first) out.push({ about: "key", tone: "idle", text: words.noKey });
  else if (secret === null || leaf.key === null) out.push({ about: "key", tone: "idle", text: words.keyUnknown });
  else if (secret === leaf.key) out.push({ about: "key", tone: "ok", text: words.keyFits });
  else out.push({ about: "key", tone: "bad", text: words.keyOther });
  out.push(chainOf(leaf, certificates));
  return out;
}

function dates(leaf: ReadCertificate, now: Date): Finding {
  const words = t.certificateOwn.findings;
  const left = leaf.until.getTime() - now.getTime();
  if (left < 0) return { about: "dates", tone: "bad", text: words.expired(date(leaf.until)) };
  if (leaf.from > now) return { about: "dates", tone: "bad", text: words.early(date(leaf.from)) };
  const days = Math.floor(left / day);
  return { about: "dates", tone: days < 7 ? "warn" : "ok", text: words.until(date(leaf.until), days) };
}

/** Who signed whom, from the leaf on, as far as the pasted certificates go. */
function chainOf(leaf: ReadCertificate, all: ReadCertificate[]): Finding {
  const words = t.certificateOwn.findings;
  const path = [leaf];
  let last = leaf;
  while (last.rawIssuer !== last.rawSubject) {
    const issuer = all.find((c) => c.rawSubject === last.rawIssuer && !path.includes(c));
    if (!issuer) break;
    path.push(issuer);
    last = issuer;
  }
  if (leaf.rawIssuer === leaf.rawSubject) return { about: "chain", tone: "warn", text: words.selfSigned };
  const shown = path.map((c) => c.subject || c.names[0] || "?").join(" ← ");
  if (path.length < new Set(all).size) return { about: "chain", tone: "bad", text: words.stranger(shown) };
  if (path.length === 1) return { about: "chain", tone: "warn", text: words.alone(leaf.issuer) };
  return { about: "chain", tone: "ok", text: words.chain(shown, last.issuer) };
}
