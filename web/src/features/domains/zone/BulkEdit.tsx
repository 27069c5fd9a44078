import { Button, Checkbox, Select, TextInput } from "@mantine/core";
import { useState } from "react";
import { may, type Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { ChangeFlow } from "@/ui/ChangeFlow";
import { Refused } from "@/ui/Refused";
import { Applied } from "../components/Applied";
import styles from "../domains.module.css";
import { type RecordEdit, type RecordSet, useEditRecords } from "../zoneQueries";

export type BulkAction = "ttl" | "replace" | "comment" | "remove";

export type BulkWish = { action: BulkAction; ttl: string; find: string; by: string; comment: string; consent: boolean };

/** A set as a bulk edit sends it: whole, under its full name, since an owner may end in the zone's by itself. */
function edited(record: RecordSet, over: Partial<RecordEdit["records"][number]>): RecordEdit["records"][number] {
  const { ttl, values, target, steering, comment, tags } = record;
  return {
    ...(ttl && { ttl }),
    ...(values && { values }),
    ...(target && { target }),
    ...(steering && { steering }),
    ...(comment && { comment }),
    ...(tags && { tags }),
    ...over,
    name: `${record.full_name}.`,
    type: record.type,
  };
}

/** What a wish means for the selected sets; those that it would leave as they are stay out. */
export function editOf(records: RecordSet[], wish: BulkWish): RecordEdit {
  const swap = (text: string) => text.replaceAll(wish.find, wish.by);
  switch (wish.action) {
    case "remove":
      return {
        records: records.map((r) => ({ name: `${r.full_name}.`, type: r.type, remove: true })),
        ...(wish.consent && { consent: true }),
      };
    case "ttl":
      return { records: records.map((r) => edited(r, { ttl: Number(wish.ttl) })) };
    case "comment":
      return { records: records.map((r) => edited(r, { comment: wish.comment.trim() })) };
    case "replace":
      return {
        records: records
          .filter((r) => (r.values ?? []).some((v) => v.includes(wish.find)))
          .map((r) => edited(r, { values: (r.values ?? []).map(swap) })),
      };
  }
}

/** Changes many sets at once, as one revision: edit, difference, apply. */
export function BulkEdit({
  scope,
  domain,
  records,
  onClear,
}: {
  scope: Scope;
  domain: string;
  records: RecordSet[];
  onClear: () => void;
}) {
  const change = useEditRecords(scope, domain);
  return (
    <section className={styles["bulk"]} aria-label={t.bulk.title}>
      <div className="row wrap between">
        <strong>{t.bulk.selected(records.length)}</strong>
        <Button variant="default" size="compact-xs" onClick={onClear}>
          {t.bulk.clear}
        </Button>
      </div>
      <ChangeFlow<BulkWish>
        environment={scope.environment}
        plan={(wish) => change.plan(editOf(records, wish))}
        apply={(wish, reason) => change.apply.mutateAsync({ edit: editOf(records, wish), reason })}
        done={(revision) => <Applied scope={scope} revision={revision} onAgain={onClear} zoneOf={domain} />}
        form={({ review, planning, error, draft }) => (
          <Form scope={scope} records={records} draft={draft} planning={planning} error={error} onReview={review} />
        )}
      />
    </section>
  );
}

const untouched: BulkWish = { action: "ttl", ttl: "", find: "", by: "", comment: "", consent: false };

function Form({
  scope,
  records,
  draft,
  planning,
  error,
  onReview,
}: {
  scope: Scope;
  records: RecordSet[];
  draft: BulkWish | null;
  planning: boolean;
  error: Error | null;
  onReview: (wish: BulkWish) => void;
}) {
  const [wish, setWish] = useState<BulkWish>(draft ?? untouched);
  const [problem, setProblem] = useState<string | null>(null);
  const set = (next: Partial<BulkWish>) => {
    setProblem(null);
    setWish((old) => ({ ...old, ...next }));
  };
  const quiet = { autoCapitalize: "off", autoComplete: "off", spellCheck: false } as const;
  return (
    <form
      className="stack tight"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (wish.action === "ttl" && !/^(\d{1,6})?$/.test(wish.ttl.trim())) return setProblem(t.recordForm.ttlWrong);
        if (wish.action === "replace" && wish.find === "") return setProblem(t.bulk.findNeeded);
        if (editOf(records, wish).records.length === 0) return setProblem(t.bulk.findNone);
        onReview(wish);
      }}
    >
      <div className={styles["recordForm"]}>
        <Select
          label={t.bulk.action}
          data={Object.entries(t.bulk.actions).map(([value, label]) => ({ value, label }))}
          value={wish.action}
          onChange={(value) => set({ action: (value ?? "ttl") as BulkAction })}
          allowDeselect={false}
        />
        {wish.action === "ttl" && (
          <TextInput
            label={t.bulk.ttl}
            placeholder={t.bulk.ttlHint}
            inputMode="numeric"
            value={wish.ttl}
            onChange={(event) => set({ ttl: event.currentTarget.value })}
            error={problem}
          />
        )}
        {wish.action === "replace" && (
          <>
            <TextInput
              label={t.bulk.find}
              {...quiet}
              value={wish.find}
              onChange={(event) => set({ find: event.currentTarget.value })}
              error={problem}
            />
            <TextInput
              label={t.bulk.with}
              {...quiet}
              value={wish.by}
              onChange={(event) => set({ by: event.currentTarget.value })}
            />
          </>
        )}
        {wish.action === "comment" && (
          <TextInput
            label={t.bulk.comment}
            maxLength={500}
            value={wish.comment}
            onChange={(event) => set({ comment: event.currentTarget.value })}
          />
        )}
      </div>
      {wish.action === "remove" && (
        <Checkbox
          size="xs"
          label={t.bulk.consent}
          checked={wish.consent}
          onChange={(event) => set({ consent: event.currentTarget.checked })}
        />
      )}
      <Refused error={error} />
      <div>
        <Button
          type="submit"
          loading={planning}
          disabled={!may(scope, "developer")}
          {...(wish.action === "remove" && { color: "red", variant: "outline" })}
        >
          {t.bulk.review}
        </Button>
      </div>
    </form>
  );
}
