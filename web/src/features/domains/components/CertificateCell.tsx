import type { Schemas } from "@/api/client";
import { certificateState } from "@/lib/status";
import { t } from "@/lib/strings";
import { StatusBadge } from "@/ui/StatusBadge";

/** A certificate in one line: state, and the days that are left. */
export function CertificateCell({ certificate }: { certificate: Schemas["DomainCert"] }) {
  const { tone, label } = certificateState(certificate.state);
  return (
    <span className="row" title={certificate.reason}>
      <StatusBadge tone={tone}>{label}</StatusBadge>
      {certificate.days_left !== undefined && (
        <span className="dim tnum nowrap" title={t.domains.daysLeft(certificate.days_left)}>
          {t.domains.daysShort(certificate.days_left)}
        </span>
      )}
    </span>
  );
}
