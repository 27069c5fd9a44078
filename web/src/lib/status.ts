import type { Tone } from "@/ui/StatusBadge";
import { t } from "./strings";

/** How a state of the API looks and reads. A state from a newer server shows as it is written. */
export type Shown = { tone: Tone; label: string };

function table(rows: Record<string, Shown>): (state: string) => Shown {
  return (state) => rows[state] ?? { tone: "idle", label: state.replaceAll("_", " ") };
}

export const domainStatus = table({
  pending_verification: { tone: "warn", label: t.states.domain.pending_verification },
  issuing: { tone: "info", label: t.states.domain.issuing },
  active: { tone: "ok", label: t.states.domain.active },
  error: { tone: "bad", label: t.states.domain.error },
});

export const certificateState = table({
  none: { tone: "idle", label: t.states.certificate.none },
  issuing: { tone: "info", label: t.states.certificate.issuing },
  valid: { tone: "ok", label: t.states.certificate.valid },
  expiring: { tone: "warn", label: t.states.certificate.expiring },
  expired: { tone: "bad", label: t.states.certificate.expired },
  failed: { tone: "bad", label: t.states.certificate.failed },
  external: { tone: "idle", label: t.states.certificate.external },
});

export const edgeState = table({
  online: { tone: "ok", label: t.states.edge.online },
  offline: { tone: "bad", label: t.states.edge.offline },
  draining: { tone: "warn", label: t.states.edge.draining },
});

export const verificationStatus = table({
  verified: { tone: "ok", label: t.states.verification.verified },
  pending: { tone: "warn", label: t.states.verification.pending },
  not_required: { tone: "ok", label: t.states.verification.not_required },
});

const conditionTones: Record<string, Tone> = { true: "ok", false: "bad", unknown: "idle" };

export function conditionTone(status: string): Tone {
  return conditionTones[status] ?? "idle";
}
