import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { ApiError } from "@/api/client";
import { t } from "@/lib/strings";
import { CommandLine, CopyText } from "@/ui/CommandLine";
import { Icon } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import { ErrorState, SkeletonRows } from "@/ui/PageState";
import { Fields, Panel } from "@/ui/Panel";
import { rootQuery } from "../queries";

const rootPath = "/api/v1/trust/root.pem";

/** How browsers come to accept what the local authority signs. */
export function TrustTab() {
  const root = useQuery(rootQuery());
  const missing = root.error instanceof ApiError && root.error.code === "not_found";
  return (
    <div className="stack" style={{ maxWidth: 760 }}>
      <p className="soft">{t.trust.intro}</p>
      <Panel title={t.trust.title}>
        {missing ? (
          <Notice tone="info">{t.trust.missing}</Notice>
        ) : root.error ? (
          <ErrorState error={root.error} onRetry={() => void root.refetch()} />
        ) : root.data ? (
          <div className="stack">
            {root.data.fingerprint && (
              <Fields rows={[[t.trust.fingerprint, <CopyText key="fingerprint" value={root.data.fingerprint} />]]} />
            )}
            <div>
              <Button
                component="a"
                href={rootPath}
                download="edgewright-root.pem"
                variant="default"
                leftSection={<Icon name="download" size={14} />}
              >
                {t.trust.download}
              </Button>
            </div>
          </div>
        ) : (
          <SkeletonRows rows={2} />
        )}
      </Panel>
      {!missing && (
        <>
          <Panel title={t.trust.automatic}>
            <div className="stack tight">
              <p className="dim">{t.trust.automaticText}</p>
              <CommandLine command="edgewright trust" label={t.copy.value("edgewright trust")} />
            </div>
          </Panel>
          <Panel title={t.trust.manual}>
            <div className="stack tight">
              <CommandLine
                command={`curl -fsSo edgewright.crt ${window.location.origin}${rootPath}`}
                label={t.trust.command}
              />
              <ul style={{ paddingInlineStart: 18, display: "grid", gap: 6 }} className="soft">
                {t.trust.steps.map((step) => (
                  <li key={step}>{step}</li>
                ))}
              </ul>
              <Notice tone="warn">{t.trust.caution}</Notice>
            </div>
          </Panel>
        </>
      )}
    </div>
  );
}
