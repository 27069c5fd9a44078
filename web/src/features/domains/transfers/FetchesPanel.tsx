import { sentence } from "@/api/client";
import { t } from "@/lib/strings";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { Panel } from "@/ui/Panel";
import { StatusBadge, type Tone } from "@/ui/StatusBadge";
import { TimeAgo } from "@/ui/Time";
import styles from "../domains.module.css";
import type { Fetch, Transfers } from "./transferQueries";

/** The secondaries of a zone: which version each has, and why it did not get another. */
export function FetchesPanel({ transfers }: { transfers: Transfers }) {
  const copy = t.zoneTransfers.fetches;
  const list = transfers.secondaries;
  if (list.length === 0 && !transfers.out) return null;
  const failed = list.filter((f) => f.error);
  const columns: Column<Fetch>[] = [
    {
      id: "address",
      header: copy.columns.address,
      cell: (f) => (
        <span className="mono" style={{ overflowWrap: "anywhere" }}>
          {f.address}
        </span>
      ),
    },
    {
      id: "state",
      header: copy.columns.state,
      cell: (f) => {
        const { tone, label } = stateOf(f, transfers.serial);
        return <StatusBadge tone={tone}>{label}</StatusBadge>;
      },
    },
    {
      id: "serial",
      header: copy.columns.serial,
      align: "right",
      hideBelow: "sm",
      cell: (f) => <span className="tnum">{f.serial ?? "–"}</span>,
    },
    {
      id: "key",
      header: copy.columns.key,
      hideBelow: "md",
      cell: (f) => (f.key ? <span className="mono">{f.key}</span> : <span className="dim">{copy.noKey}</span>),
    },
    { id: "how", header: copy.columns.how, hideBelow: "md", cell: (f) => copy.kinds[f.kind] ?? f.kind },
    { id: "at", header: copy.columns.at, align: "right", cell: (f) => <TimeAgo at={f.at} /> },
  ];
  return (
    <Panel title={copy.title} window={copy.window} flush>
      {list.length === 0 ? (
        <EmptyState icon="layers" title={copy.empty}>
          {copy.emptyText}
        </EmptyState>
      ) : (
        <DataTable
          label={copy.title}
          columns={columns}
          rows={list}
          rowKey={(f) => `${f.address} ${f.key ?? ""} ${f.error ? "not" : "has"}`}
        />
      )}
      {failed.length > 0 && (
        <ul className={`small ${styles["plainList"]}`} style={{ padding: "8px 16px" }} aria-label={copy.why}>
          {failed.map((f) => (
            <li key={`${f.address} ${f.key ?? ""}`} style={{ overflowWrap: "anywhere" }}>
              <span className="mono">{f.address}</span>{" "}
              <span className="soft">{[f.error, f.fix].map((text) => (text ? sentence(text) : "")).join(" ")}</span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function stateOf(f: Fetch, serial: number): { tone: Tone; label: string } {
  const copy = t.zoneTransfers.fetches;
  if (f.error) {
    // What it is told to do by itself needs nobody.
    return { tone: f.outcome === "later" ? "info" : "bad", label: copy.failed[f.outcome] ?? copy.other };
  }
  return f.serial === serial ? { tone: "ok", label: copy.current } : { tone: "warn", label: copy.older };
}
