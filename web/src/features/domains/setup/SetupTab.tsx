import type { Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { EmptyState } from "@/ui/EmptyState";
import { Notice } from "@/ui/Notice";
import { Panel } from "@/ui/Panel";
import { TimeUntil } from "@/ui/Time";
import { RoutingPanel } from "../components/Records";
import type { Domain } from "../queries";
import { DNSPanel } from "./DNSPanel";
import { OwnershipPanel } from "./OwnershipPanel";

/** What is needed before a name is served, and who does it. The wizard and the domain's own page share it. */
export function SetupSteps({ scope, domain, proven }: { scope: Scope; domain: Domain; proven: boolean }) {
  const { verification } = domain;
  return (
    <div className="stack">
      <ProofLost domain={domain} />
      {verification.required && (proven || verification.status === "pending") && (
        <OwnershipPanel scope={scope} domain={domain} />
      )}
      {verification.required && <DNSPanel scope={scope} domain={domain} />}
      <RoutingPanel domain={domain} />
    </div>
  );
}

/** A verified domain whose proof is gone: since when, and when it will be released. */
export function ProofLost({ domain }: { domain: Domain }) {
  const { lost_at: lost, release_at: release } = domain.verification;
  if (!lost) return null;
  return (
    <Notice tone="bad" title={t.lost.title}>
      {t.lost.text}{" "}
      {release && (
        <>
          {t.lost.release}: <TimeUntil at={release} />
        </>
      )}
    </Notice>
  );
}

export function SetupTab({ scope, domain }: { scope: Scope; domain: Domain }) {
  if (domain.verification.records.length === 0 && !domain.verification.required) {
    return (
      <Panel flush>
        <EmptyState icon="check" level={2} title={t.records.none}>
          {t.records.noneText}
        </EmptyState>
      </Panel>
    );
  }
  return <SetupSteps scope={scope} domain={domain} proven />;
}
