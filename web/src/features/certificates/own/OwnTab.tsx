import type { Scope } from "@/app/session";
import { RequestsPanel } from "./RequestsPanel";
import { UploadPanel } from "./UploadPanel";

/** A certificate got elsewhere: its request, and the upload of what was made of it. */
export function OwnTab({ scope, domain, takeover }: { scope: Scope; domain: string; takeover: boolean }) {
  return (
    <div className="stack" style={{ maxWidth: 920 }}>
      <UploadPanel scope={scope} domain={domain} takeover={takeover} />
      <RequestsPanel scope={scope} domain={domain} />
    </div>
  );
}
