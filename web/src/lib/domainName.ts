import { t } from "@/lib/strings";

/** What a person meant by what they typed or pasted into a domain field. */
export type DomainInput =
  | { ok: true; domain: string; typed: string; stripped: boolean; wildcard: boolean }
  | { ok: false; problem: string };

const label = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;

/**
 * Reads a domain the way people give it: with a scheme, port or path (a pasted
 * URL), upper case, a trailing dot, an internationalised name, a leading "*.".
 * `domain` is the A-label form that the API wants. The API checks again and
 * knows more (public suffixes, who owns what); this gives an answer on blur.
 */
export function readDomain(raw: string): DomainInput {
  const typed = raw.trim();
  if (typed === "") return { ok: false, problem: t.domainInput.empty };
  let rest = typed.replace(/^[a-z][a-z0-9+.-]*:\/\//i, "").replace(/[/?#].*$/s, "");
  rest = rest.slice(rest.lastIndexOf("@") + 1);
  if (/\s/.test(rest)) return { ok: false, problem: t.domainInput.spaces };
  if (rest.startsWith("[") || rest.split(":").length > 2) return { ok: false, problem: t.domainInput.address };
  rest = rest.replace(/:\d*$/, "").replace(/[.\u3002]$/, "");
  const wildcard = rest.startsWith("*.");
  const name = wildcard ? rest.slice(2) : rest;
  if (name === "") return { ok: false, problem: t.domainInput.empty };
  if (name.includes("*")) return { ok: false, problem: t.domainInput.wildcard };
  if (name.includes("_")) return { ok: false, problem: t.domainInput.underscore };
  let ascii: string;
  try {
    ascii = new URL(`http://${name}/`).hostname.toLowerCase(); // the browser's own IDN (UTS 46)
  } catch {
    return { ok: false, problem: t.domainInput.characters };
  }
  if (/^\d+\.\d+\.\d+\.\d+$/.test(ascii)) return { ok: false, problem: t.domainInput.address };
  if (ascii.length > 253 || ascii.split(".").some((l) => l.length > 63)) {
    return { ok: false, problem: t.domainInput.length };
  }
  if (ascii.split(".").some((l) => l === "")) return { ok: false, problem: t.domainInput.emptyLabel };
  if (!ascii.split(".").every((l) => label.test(l))) return { ok: false, problem: t.domainInput.characters };
  if (!ascii.includes(".") && ascii !== "localhost") return { ok: false, problem: t.domainInput.singleLabel };
  const domain = wildcard ? `*.${ascii}` : ascii;
  const plain = typed.toLowerCase().replace(/\.$/, "");
  const stripped = plain !== domain && (/[/@:?#]/.test(typed) || /^[a-z][a-z0-9+.-]*:\/\//i.test(typed));
  return { ok: true, domain, typed, stripped, wildcard };
}

/**
 * Reads an origin URL: scheme and host with an optional port. "app.internal:3000"
 * is understood as http. A path is refused here as it is by the API, because
 * requests keep their own.
 */
export function readOrigin(raw: string): { ok: true; url: string } | { ok: false; problem: string } {
  const typed = raw.trim();
  if (typed === "") return { ok: false, problem: t.originInput.empty };
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(typed);
  let url: URL;
  try {
    url = new URL(hasScheme ? typed : `http://${typed}`);
  } catch {
    return { ok: false, problem: t.originInput.form };
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return { ok: false, problem: t.originInput.scheme };
  if (url.username !== "" || url.password !== "") return { ok: false, problem: t.originInput.credentials };
  if ((url.pathname !== "/" && url.pathname !== "") || url.search !== "" || url.hash !== "") {
    return { ok: false, problem: t.originInput.path(`${url.protocol}//${url.host}`) };
  }
  return { ok: true, url: `${url.protocol}//${url.host}` };
}

/** A path to purge: "/a", "/img/*" or a full URL. */
export function readPurgePath(raw: string): string | null {
  const typed = raw.trim();
  if (/^https?:\/\/[^/\s]+(\/\S*)?$/i.test(typed)) return typed;
  return /^\/\S*$/.test(typed) ? typed : null;
}
