import { Button } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useLiveState } from "@/api/events";
import { absolute } from "@/lib/format";
import { t } from "@/lib/strings";
import { Icon } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import { projectTitle } from "./ScopeSwitch";
import { may, type Scope } from "./session";

/** What is to be known of every screen: that it may be old, that it is not what was asked for, that it is only to look at. */
export function Remarks({
  scope,
  wanted,
}: {
  scope: Scope;
  wanted: { project?: string | undefined; environment?: string | undefined };
}) {
  return (
    <>
      <Interrupted />
      <Elsewhere scope={scope} wanted={wanted} />
      {!may(scope, "developer") && (
        <p className="row tight dim small" style={{ marginBottom: 12 }}>
          <Icon name="lock" size={13} />
          {t.scope.viewer(projectTitle(scope.project))}
        </p>
      )}
    </>
  );
}

/** How long updates may be missed before it is said: a server that starts anew is back sooner. */
const patienceMs = 5000;

function Interrupted() {
  const lost = useLiveState() === "lost";
  const [since, setSince] = useState<string | null>(null);
  const client = useQueryClient();
  useEffect(() => {
    if (!lost) return;
    const at = new Date().toISOString();
    const timer = setTimeout(() => setSince(at), patienceMs);
    return () => {
      clearTimeout(timer);
      setSince(null);
    };
  }, [lost]);
  if (!since) return null;
  return (
    <div style={{ marginBottom: 16 }}>
      <Notice
        tone="warn"
        alert
        title={t.head.interrupted}
        action={
          <Button variant="default" onClick={() => void client.invalidateQueries()}>
            {t.common.retry}
          </Button>
        }
      >
        {t.head.interruptedText(absolute(since))}
      </Notice>
    </div>
  );
}

/** An address may name what is gone or not open to the reader: what is shown instead must not pass for it. */
function Elsewhere({
  scope,
  wanted,
}: {
  scope: Scope;
  wanted: { project?: string | undefined; environment?: string | undefined };
}) {
  const { project, environment } = scope;
  const missing =
    wanted.project !== undefined && ![project.id, project.name].includes(wanted.project)
      ? t.scope.noProject(wanted.project)
      : wanted.environment !== undefined && wanted.environment !== environment
        ? t.scope.noEnvironment(wanted.environment)
        : undefined;
  if (!missing) return null;
  return (
    <div style={{ marginBottom: 16 }}>
      <Notice tone="warn" alert title={missing}>
        {t.scope.instead(projectTitle(project), environment)}
      </Notice>
    </div>
  );
}
