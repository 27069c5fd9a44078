import { Button, Checkbox, FileButton, Textarea } from "@mantine/core";
import { useState } from "react";
import { ApiError, sentence } from "@/api/client";
import { may, type Scope } from "@/app/session";
import { count } from "@/lib/format";
import { t } from "@/lib/strings";
import { type Column, DataTable } from "@/ui/DataTable";
import { DiffReview } from "@/ui/DiffReview";
import { Icon } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import { Panel, Stats } from "@/ui/Panel";
import { Applied } from "../components/Applied";
import { useImportZone, type Zone, type ZoneFile, type ZoneImport } from "../zoneQueries";

/** The API's bound on a zone file. */
const maxBytes = 32 << 20;

type Skipped = ZoneImport["skipped"][number];

/** A zone file: read, previewed with what it would change and what is left out, then applied. */
export function ImportPanel({
  scope,
  domain,
  zone,
  onClose,
}: {
  scope: Scope;
  domain: string;
  zone: Zone;
  onClose: () => void;
}) {
  const { preview, apply } = useImportZone(scope, domain, zone);
  const [file, setFile] = useState<ZoneFile>({ zone: "" });
  const [problem, setProblem] = useState<string | null>(null);
  const back = (
    <Button variant="default" onClick={onClose}>
      {t.zoneImport.back}
    </Button>
  );

  if (apply.data !== undefined) {
    return (
      <Panel title={t.zoneImport.title} actions={back}>
        <div className="stack">
          <Notice tone="ok">{t.zoneImport.applied}</Notice>
          <Applied
            scope={scope}
            revision={apply.data}
            zoneOf={domain}
            onAgain={() => {
              preview.reset();
              apply.reset();
            }}
          />
        </div>
      </Panel>
    );
  }
  if (preview.data?.plan) {
    return (
      <div className="stack">
        <Report report={preview.data} />
        <Panel title={t.recordForm.review}>
          <DiffReview
            plan={preview.data.plan}
            environment={scope.environment}
            applying={apply.isPending}
            error={apply.error}
            onApply={(reason) => apply.mutate({ file, reason })}
            onBack={() => {
              preview.reset();
              apply.reset();
            }}
          />
        </Panel>
      </div>
    );
  }
  return (
    <Panel title={t.zoneImport.title} actions={back}>
      <form
        className="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (file.zone.trim() === "") return setProblem(t.zoneImport.needed);
          preview.mutate(file);
        }}
      >
        <p className="soft">{t.zoneImport.text}</p>
        <div>
          <FileButton
            accept=".zone,.txt,.db,text/plain,text/dns"
            onChange={(chosen) => {
              if (!chosen) return;
              if (chosen.size > maxBytes) return setProblem(t.zoneImport.tooBig);
              void chosen.text().then((text) => {
                setProblem(null);
                setFile((old) => ({ ...old, zone: text }));
              });
            }}
          >
            {(props) => (
              <Button {...props} variant="default" leftSection={<Icon name="file" size={14} />}>
                {t.zoneImport.file}
              </Button>
            )}
          </FileButton>
        </div>
        <Textarea
          label={t.zoneImport.content}
          placeholder={t.zoneImport.placeholder}
          value={file.zone}
          onChange={(event) => {
            const zone = event.currentTarget.value;
            setProblem(null);
            setFile((old) => ({ ...old, zone }));
          }}
          error={problem}
          rows={10}
          spellCheck={false}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: 12 } }}
        />
        <Option name="replace" file={file} onChange={setFile} hint={t.zoneImport.replaceHint} />
        {file.replace && <Option name="consent" file={file} onChange={setFile} />}
        <Option name="partial" file={file} onChange={setFile} hint={t.zoneImport.partialHint} />
        {preview.error && <RefusedLines error={preview.error} />}
        <div className="row">
          <Button type="submit" loading={preview.isPending} disabled={!may(scope, "developer")}>
            {t.zoneImport.preview}
          </Button>
          <Button variant="default" onClick={onClose}>
            {t.common.cancel}
          </Button>
        </div>
      </form>
    </Panel>
  );
}

function Option({
  name,
  file,
  onChange,
  hint,
}: {
  name: "replace" | "partial" | "consent";
  file: ZoneFile;
  onChange: (file: ZoneFile) => void;
  hint?: string;
}) {
  return (
    <Checkbox
      size="xs"
      label={t.zoneImport[name]}
      {...(hint && { description: hint })}
      checked={file[name] ?? false}
      onChange={(event) => onChange({ ...file, [name]: event.currentTarget.checked })}
    />
  );
}

/** Why a file was refused, line by line. */
function RefusedLines({ error }: { error: Error }) {
  const found = error instanceof ApiError ? (error.problem.errors ?? []) : [];
  return (
    <Notice tone="bad" alert>
      {found.length > 0 ? t.zoneImport.lines : error.message}
      {found.length > 0 && (
        <ul style={{ margin: "6px 0 0", paddingInlineStart: 18 }}>
          {found.map((f) => (
            <li key={f.pointer + f.detail}>
              {sentence(f.detail)} {f.fix && sentence(f.fix)}
            </li>
          ))}
        </ul>
      )}
    </Notice>
  );
}

const skippedColumns: Column<Skipped>[] = [
  {
    id: "line",
    header: t.zoneImport.skippedColumns.line,
    align: "right",
    width: 60,
    cell: (s) => (s.line ? String(s.line) : "–"),
  },
  {
    id: "record",
    header: t.zoneImport.skippedColumns.record,
    cell: (s) => (
      <span className="mono" style={{ overflowWrap: "anywhere" }}>
        {s.record}
      </span>
    ),
  },
  {
    id: "reason",
    header: t.zoneImport.skippedColumns.reason,
    cell: (s) => (
      <>
        {sentence(s.reason)} {s.fix && <span className="dim">{sentence(s.fix)}</span>}
      </>
    ),
  },
];

const counted = ["records", "sets", "created", "updated", "deleted", "unchanged"] as const;

function Report({ report }: { report: ZoneImport }) {
  return (
    <>
      <Stats
        label={t.zoneImport.report}
        items={counted.map((key) => ({
          label: t.zoneImport.counts[key],
          value: count(report[key]),
          note: t.zoneImport.note,
        }))}
      />
      {[...report.notes, ...report.warnings.filter((w) => !report.plan?.warnings?.includes(w))].map((note) => (
        <Notice key={note} tone="idle">
          {sentence(note)}
        </Notice>
      ))}
      {report.skipped.length > 0 && (
        <Panel title={t.zoneImport.skipped} window={t.zoneImport.skippedWindow} flush>
          <DataTable
            label={t.zoneImport.skipped}
            columns={skippedColumns}
            rows={report.skipped}
            rowKey={(s) => `${s.line ?? 0} ${s.record}`}
          />
        </Panel>
      )}
    </>
  );
}
