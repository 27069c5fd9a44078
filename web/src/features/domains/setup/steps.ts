import { type Schemas, sentence } from "@/api/client";
import { certificateState, conditionTone, type Shown } from "@/lib/status";
import { t } from "@/lib/strings";
import type { Tone } from "@/ui/StatusBadge";
import type { Domain } from "../queries";

/** One of the things that must be true before a domain is served, and how far it is. */
export type Step = {
  key: "ownership" | "dns" | "tls" | "serving";
  name: string;
  tone: Tone;
  text: string;
  message?: string;
};

export function conditionOf(domain: Domain, type: string): Schemas["Condition"] | undefined {
  return domain.conditions.find((c) => c.type === type);
}

/**
 * How a condition looks. What cannot be before the name is proven has not failed:
 * nothing is wrong with a domain that was just added.
 */
export function conditionShown(domain: Domain, condition: Schemas["Condition"]): Shown {
  const shown = {
    tone: conditionTone(condition.status),
    label: t.domain.conditionStatus[condition.status] ?? condition.status,
  };
  if (condition.status !== "false" || domain.verification.status !== "pending") return shown;
  return { tone: condition.type === "Ownership" ? "warn" : "idle", label: t.domain.notYet };
}

/** Who sets the records of a domain, in a word. */
export function recordsBy(domain: Domain): string {
  if (!domain.verification.required && !domain.dns.mode) return t.domains.noRecords;
  const mode = domain.dns.mode || "manual";
  return t.domains.modes[mode] ?? mode;
}

/** Where the name leads, or what keeps it from leading here. */
function dnsStep(domain: Domain): Step {
  const step = { key: "dns" as const, name: t.steps.dns };
  const dns = conditionOf(domain, "DNS");
  if (dns?.status === "true") return { ...step, tone: "ok", text: t.steps.leads };
  const blocker = domain.dns.blockers[0];
  if (blocker) {
    const message = `${sentence(blocker.detail)} ${sentence(blocker.fix)}`;
    return { ...step, tone: "bad", text: t.steps.blocked, message };
  }
  const shown: Step =
    dns?.status === "false"
      ? { ...step, tone: "warn", text: t.steps.leadsNot }
      : { ...step, tone: "idle", text: t.steps.notChecked };
  return dns?.message ? { ...shown, message: dns.message } : shown;
}

/** Ownership, DNS, TLS and edges, each judged for itself, in the order in which they depend on each other. */
export function setupSteps(domain: Domain): Step[] {
  const owned = domain.verification.status !== "pending";
  const ownership = conditionOf(domain, "Ownership");
  const serving = conditionOf(domain, "Serving");
  const certificate = domain.certificate;
  const lost = domain.verification.lost_at !== undefined;
  const shown = certificateState(certificate.state);

  const steps: Step[] = [
    {
      key: "ownership",
      name: t.steps.ownership,
      tone: lost ? "bad" : owned ? "ok" : "warn",
      text: lost
        ? t.steps.proofLost
        : domain.verification.status === "not_required"
          ? t.steps.notRequired
          : owned
            ? t.steps.verifiedBy(domain.verification.method ?? "dns")
            : t.states.verification.pending,
      ...(ownership?.status !== "true" && (lost || !owned) && ownership?.message ? { message: ownership.message } : {}),
    },
    dnsStep(domain),
    {
      key: "tls",
      name: t.steps.tls,
      tone: shown.tone,
      text:
        certificate.state === "issuing"
          ? (t.steps.certificateSteps[certificate.step ?? ""] ?? shown.label)
          : certificate.state === "none"
            ? owned
              ? t.certificate.none
              : t.steps.waitingOwnership
            : certificate.state === "valid" && certificate.days_left !== undefined
              ? `${shown.label}, ${t.domains.daysLeft(certificate.days_left)}`
              : shown.label,
      ...(certificate.reason ? { message: certificate.reason } : {}),
    },
    {
      key: "serving",
      name: t.steps.serving,
      tone: serving?.status === "true" ? "ok" : !owned ? "idle" : "info",
      text: serving?.status === "true" ? t.steps.serves : !owned ? t.steps.waitingOwnership : t.steps.servesNot,
      ...(serving?.status === "false" && owned && serving.message ? { message: serving.message } : {}),
    },
  ];
  return steps;
}

/** Which of the list's status filters a domain falls under. */
export function statusGroup(domain: Domain): "active" | "waiting" | "attention" {
  if (
    domain.verification.lost_at ||
    domain.status === "error" ||
    ["failed", "expired", "expiring"].includes(domain.certificate.state)
  )
    return "attention";
  return domain.status === "active" ? "active" : "waiting";
}

/** Whether a domain fits the text of the list's filter. */
export function matches(domain: Domain, text: string): boolean {
  const wanted = text.trim().toLowerCase();
  return [domain.domain, domain.display, domain.origin, domain.cdn, domain.certificate.issuer ?? ""].some((v) =>
    v.toLowerCase().includes(wanted),
  );
}
