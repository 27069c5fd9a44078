import { sentence } from "@/api/client";
import { t } from "@/lib/strings";
import { StatusBadge } from "@/ui/StatusBadge";
import styles from "../domains.module.css";
import type { Domain } from "../queries";
import { setupSteps } from "../setup/steps";

/** Ownership, DNS, TLS and edges side by side, each with its own state. */
export function Steps({ domain }: { domain: Domain }) {
  return (
    <ol className={styles["steps"]} aria-label={t.addDomain.progress} aria-live="polite">
      {setupSteps(domain).map((step) => (
        <li key={step.key} className={styles["step"]}>
          <span className={styles["stepName"]}>{step.name}</span>
          <span className={styles["stepText"]}>
            <StatusBadge tone={step.tone}>{step.text}</StatusBadge>
          </span>
          {step.message && <span className={styles["stepMessage"]}>{sentence(step.message)}</span>}
        </li>
      ))}
    </ol>
  );
}
