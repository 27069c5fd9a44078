import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type Schemas, sentence } from "@/api/client";
import type { Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { type Column, DataTable } from "@/ui/DataTable";
import { Icon } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import { ErrorState } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { StatusBadge, type Tone } from "@/ui/StatusBadge";
import { preflightQuery } from "../queries";

type Check = Schemas["ReadinessCheck"];

const tones: Record<string, Tone> = { passed: "ok", failed: "bad", warning: "warn", unknown: "idle" };

const columns: Column<Check>[] = [
  {
    id: "check",
    header: t.preflight.columns.check,
    cell: (c) => (
      <>
        <span style={{ fontWeight: 500 }}>{t.preflight.checks[c.check] ?? c.check}</span>{" "}
        {c.authority && <span className="dim">{c.authority}</span>}
      </>
    ),
  },
  {
    id: "state",
    header: t.preflight.columns.state,
    width: 100,
    cell: (c) => <StatusBadge tone={tones[c.state] ?? "idle"}>{t.preflight.states[c.state] ?? c.state}</StatusBadge>,
  },
  {
    id: "detail",
    header: t.preflight.columns.detail,
    cell: (c) => (
      <>
        {sentence(c.detail)} {c.fix && <span className="soft">{sentence(c.fix)}</span>}
      </>
    ),
  },
];

/** Whether a certificate could be issued, looked at when somebody asks. */
export function PreflightPanel({ scope, domain }: { scope: Scope; domain: string }) {
  const query = useQuery(preflightQuery(scope, domain));
  return (
    <Panel
      title={t.preflight.title}
      window={<span className="hideSm">{t.preflight.window}</span>}
      flush
      actions={
        <Button
          variant="default"
          leftSection={<Icon name="refresh" size={14} />}
          loading={query.isFetching}
          onClick={() => void query.refetch()}
        >
          {t.preflight.run}
        </Button>
      }
    >
      {query.error && !query.data && <ErrorState error={query.error} onRetry={() => void query.refetch()} />}
      {!query.data && !query.error && (
        <p className="dim" style={{ padding: "12px 16px" }}>
          {t.preflight.text}
        </p>
      )}
      {query.data && (
        <>
          <div style={{ padding: "12px 16px" }}>
            <Notice tone={query.data.ready ? "ok" : "bad"}>
              {query.data.ready ? t.preflight.ready : t.preflight.notReady}
            </Notice>
          </div>
          <DataTable
            label={t.preflight.title}
            columns={columns}
            rows={query.data.checks}
            rowKey={(c) => `${c.check} ${c.authority ?? ""} ${c.subject ?? ""} ${c.detail}`}
          />
        </>
      )}
    </Panel>
  );
}
