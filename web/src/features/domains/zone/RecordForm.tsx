import { Autocomplete, Button, SegmentedControl, Textarea, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { type ReactNode, useEffect, useState } from "react";
import { ApiError } from "@/api/client";
import { may, type Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { ChangeFlow } from "@/ui/ChangeFlow";
import { Refused } from "@/ui/Refused";
import { Applied } from "../components/Applied";
import styles from "../domains.module.css";
import { type RecordData, type RecordDraft, type RecordSet, useChangeRecord } from "../zoneQueries";
import { recordTypes, targetTypes } from "./records";
import { SteeringEditor } from "./SteeringEditor";
import { foundAt, lines, type SteeringDraft, steeringData, steeringFaults, targetData, toSteering } from "./steering";
import { TargetFields } from "./TargetFields";

type Values = {
  name: string;
  type: string;
  ttl: string;
  says: "values" | "target";
  values: string;
  targetKind: string;
  targetId: string;
  comment: string;
};

/** What the form edits of a set beside its steering; tags stay as they are. */
export function toValues(record: RecordSet | undefined, draft: RecordDraft | null): Values {
  const data: Partial<RecordData> = draft && draft.kind !== "delete" ? draft.data : (record ?? {});
  return {
    name: draft?.kind === "create" ? draft.name : (record?.name ?? ""),
    type: draft?.kind === "create" ? draft.type : (record?.type ?? "A"),
    ttl: data.ttl ? String(data.ttl) : "",
    says: data.target ? "target" : "values",
    values: (data.values ?? []).join("\n"),
    targetKind: data.target?.kind ?? "edges",
    targetId: data.target?.id ?? "",
    comment: data.comment ?? "",
  };
}

/** The set that a filled-in form means. */
export function toData(values: Values, record: RecordSet | undefined, steering: SteeringDraft): RecordData {
  const target = values.says === "target" && targetTypes.includes(values.type);
  const steered = steeringData(steering);
  return {
    ...(values.ttl.trim() ? { ttl: Number(values.ttl) } : {}),
    ...(target
      ? {
          target: targetData({ kind: values.targetKind, id: values.targetId }),
        }
      : { values: lines(values.values) }),
    ...(values.comment.trim() ? { comment: values.comment.trim() } : {}),
    ...(steered ? { steering: steered } : {}),
    ...(record?.tags ? { tags: record.tags } : {}),
  };
}

/** Edits a set of records, or makes one: edit, difference, apply, rollout. `children` shows beside the rollout. */
export function RecordEditor({
  scope,
  domain,
  zone,
  record,
  onClose,
  children,
}: {
  scope: Scope;
  domain: string;
  zone: string;
  record?: RecordSet;
  onClose: () => void;
  children?: ReactNode;
}) {
  const change = useChangeRecord(scope, domain);
  return (
    <ChangeFlow<RecordDraft>
      environment={scope.environment}
      plan={change.plan}
      apply={(draft, reason) => change.apply.mutateAsync({ draft, reason })}
      done={(revision, again) => (
        <div className="stack">
          <Applied scope={scope} revision={revision} onAgain={again} zoneOf={domain} />
          {children}
        </div>
      )}
      form={({ review, planning, error, draft }) => (
        <RecordForm
          scope={scope}
          zone={zone}
          {...(record && { record })}
          draft={draft}
          planning={planning}
          error={error}
          onReview={review}
          onClose={onClose}
        />
      )}
    />
  );
}

function RecordForm({
  scope,
  zone,
  record,
  draft,
  planning,
  error,
  onReview,
  onClose,
}: {
  scope: Scope;
  zone: string;
  record?: RecordSet;
  draft: RecordDraft | null;
  planning: boolean;
  error: Error | null;
  onReview: (draft: RecordDraft) => void;
  onClose: () => void;
}) {
  const before = draft && draft.kind !== "delete" ? draft.data.steering : record?.steering;
  const [steering, setSteering] = useState<SteeringDraft>(() => toSteering(before));
  const [faults, setFaults] = useState<Map<string, string>>(new Map());
  const form = useForm<Values>({
    mode: "controlled",
    initialValues: toValues(record, draft),
    validateInputOnBlur: ["ttl"],
    validate: {
      name: (value) => (value.trim() === "" ? t.recordForm.nameNeeded : null),
      type: (value) => (value.trim() === "" ? t.recordForm.typeNeeded : null),
      ttl: (value) => (value.trim() === "" || ttlFits(value) ? null : t.recordForm.ttlWrong),
      values: (value, { says }) => (says === "values" && value.trim() === "" ? t.recordForm.valuesNeeded : null),
      targetId: (value, { says, targetKind }) =>
        says === "target" && targetKind !== "edges" && value.trim() === "" ? t.recordForm.targetNeeded : null,
    },
  });
  const setFieldError = form.setFieldError;
  useEffect(() => {
    for (const [field, text] of findings(error)) setFieldError(field, text);
  }, [error, setFieldError]);
  const { type, says, targetKind } = form.values;
  const leads = targetTypes.includes(type.trim().toUpperCase());
  const placed = (pointer: string) => fieldAt(pointer) !== undefined || pointer.startsWith("/steering/");
  const review = (values: Values) => {
    const clean = { ...values, type: values.type.trim().toUpperCase() };
    const wrong = steeringFaults(steering);
    setFaults(wrong);
    if (wrong.size > 0) return;
    const data = toData(clean, record, steering);
    onReview(
      record ? { kind: "update", record, data } : { kind: "create", name: clean.name.trim(), type: clean.type, data },
    );
  };
  return (
    <form className="stack" noValidate onSubmit={form.onSubmit(review)}>
      <div className={styles["recordForm"]}>
        <TextInput
          label={t.recordForm.name}
          description={t.recordForm.nameHint(zone)}
          disabled={record !== undefined}
          autoCapitalize="off"
          autoComplete="off"
          spellCheck={false}
          {...(record ? {} : { "data-autofocus": true, autoFocus: true })}
          {...form.getInputProps("name")}
        />
        <Autocomplete
          label={t.recordForm.type}
          description={t.recordForm.typeHint}
          data={recordTypes}
          limit={recordTypes.length}
          maxDropdownHeight={260}
          disabled={record !== undefined}
          {...form.getInputProps("type")}
        />
        <TextInput
          label={t.recordForm.ttl}
          description={t.recordForm.ttlHint}
          inputMode="numeric"
          {...form.getInputProps("ttl")}
        />
      </div>
      {leads && (
        <div>
          <SegmentedControl
            aria-label={t.recordForm.says}
            value={says}
            onChange={(value) => form.setFieldValue("says", value === "target" ? "target" : "values")}
            data={[
              { value: "values", label: t.recordForm.kinds.values },
              { value: "target", label: t.recordForm.kinds.target },
            ]}
          />
        </div>
      )}
      {leads && says === "target" ? (
        <TargetFields
          value={{ kind: targetKind, id: form.values.targetId }}
          onChange={({ kind, id }) => form.setValues({ targetKind: kind, targetId: id })}
          error={text(form.errors["targetId"])}
        />
      ) : (
        <Textarea
          label={t.recordForm.values}
          description={t.recordForm.valuesHint}
          placeholder={t.recordForm.examples[type.trim().toUpperCase()] ?? t.recordForm.otherExample}
          autosize
          minRows={2}
          maxRows={12}
          autoCapitalize="off"
          spellCheck={false}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: 12 } }}
          {...form.getInputProps("values")}
        />
      )}
      <TextInput label={t.recordForm.comment} maxLength={500} {...form.getInputProps("comment")} />
      <SteeringEditor
        value={steering}
        onChange={setSteering}
        leads={leads}
        problem={(pointer) => faults.get(pointer) ?? foundAt(error, pointer)}
      />
      <Refused error={error} placed={placed} />
      <div className="row">
        <Button type="submit" loading={planning} disabled={!may(scope, "developer")}>
          {t.recordForm.review}
        </Button>
        <Button variant="default" onClick={onClose}>
          {t.common.cancel}
        </Button>
      </div>
    </form>
  );
}

const pointed: Record<string, keyof Values | undefined> = {
  target: "targetId",
  values: "values",
  name: "name",
  type: "type",
  ttl: "ttl",
  comment: "comment",
};

/** The field that a pointer is about. */
const fieldAt = (pointer: string) => pointed[pointer.split("/")[1] ?? ""];

const text = (error: ReactNode) => (typeof error === "string" ? error : undefined);

/** What the server found, by the field it is about; of several values, which one. */
export function findings(error: Error | null): Map<keyof Values, string> {
  const found = new Map<keyof Values, string>();
  if (!(error instanceof ApiError)) return found;
  for (const { pointer } of error.problem.errors ?? []) {
    const [, first, second] = pointer.split("/");
    const field = fieldAt(pointer);
    const text = error.field(pointer);
    if (!field || !text) continue;
    const line = first === "values" && second !== undefined ? t.recordForm.line(Number(second) + 1, text) : text;
    found.set(field, [found.get(field), line].filter(Boolean).join("\n"));
  }
  return found;
}

function ttlFits(value: string): boolean {
  const n = Number(value);
  return Number.isInteger(n) && n >= 1 && n <= 604_800;
}
