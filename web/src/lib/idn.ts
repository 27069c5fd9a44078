/** The numbers of Punycode as the DNS uses it (RFC 3492, section 5). */
const base = 36;
const tMin = 1;
const tMax = 26;
const skew = 38;
const damp = 700;
const initialBias = 72;
const initialN = 0x80;
const maxCodePoint = 0x10ffff;

function adapt(delta: number, points: number, first: boolean): number {
  let rest = first ? Math.floor(delta / damp) : delta >> 1;
  rest += Math.floor(rest / points);
  let k = 0;
  for (; rest > ((base - tMin) * tMax) >> 1; k += base) rest = Math.floor(rest / (base - tMin));
  return k + Math.floor(((base - tMin + 1) * rest) / (rest + skew));
}

/** What one label says after its "xn--"; undefined when that is no Punycode. */
function decode(encoded: string): string | undefined {
  const end = encoded.lastIndexOf("-");
  const points = [...encoded.slice(0, Math.max(end, 0))].map((c) => c.codePointAt(0) ?? 0);
  let n = initialN;
  let bias = initialBias;
  let i = 0;
  for (let at = end + 1; at < encoded.length; ) {
    const before = i;
    for (let weight = 1, k = base; ; k += base) {
      const digit = Number.parseInt(encoded[at++] ?? "", base);
      if (Number.isNaN(digit)) return undefined;
      // Letters are 0 to 25 here and digits follow; elsewhere it is the other way round.
      const value = digit < 10 ? digit + 26 : digit - 10;
      i += value * weight;
      const t = Math.min(Math.max(k - bias, tMin), tMax);
      if (value < t) break;
      weight *= base - t;
    }
    bias = adapt(i - before, points.length + 1, before === 0);
    n += Math.floor(i / (points.length + 1));
    i %= points.length + 1;
    if (n > maxCodePoint) return undefined;
    points.splice(i++, 0, n);
  }
  return String.fromCodePoint(...points);
}

/** A label as people write it, when it is one that the browser would write the same way on the wire. */
function unicodeLabel(label: string): string {
  if (!/^xn--[a-z0-9-]+$/i.test(label)) return label;
  const ascii = label.toLowerCase();
  const decoded = decode(ascii.slice("xn--".length));
  if (!decoded) return label;
  try {
    return new URL(`http://${decoded}.test`).hostname === `${ascii}.test` ? decoded : label;
  } catch {
    return label;
  }
}

/**
 * A DNS name as people read it: its A-labels ("xn--mnchen-3ya") in Unicode
 * ("münchen"). What does not come back the same way stays as it is, so a name
 * never reads as one that it is not. For the eye only: the API, addresses and
 * what is copied have the name as it is.
 */
export function readable(name: string): string {
  return /xn--/i.test(name) ? name.split(".").map(unicodeLabel).join(".") : name;
}
