import {
  ActionIcon,
  Button,
  Checkbox,
  MultiSelect,
  SegmentedControl,
  Select,
  TagsInput,
  Textarea,
  TextInput,
} from "@mantine/core";
import type { ReactNode } from "react";
import { t } from "@/lib/strings";
import { machineText } from "@/ui/forms";
import { Icon } from "@/ui/icons";
import { Notice } from "@/ui/Notice";
import styles from "../domains.module.css";
import { type AnswerDraft, type CheckDraft, continents, newAnswer, newCheck, type SteeringDraft } from "./steering";
import { TargetFields, useRegions } from "./TargetFields";

/** What is wrong at a pointer. */
type Problem = (pointer: string) => string | undefined;

/**
 * Who gets which answer: the same for everybody, the nearest of our regions, or
 * by place, order, weight and health.
 */
export function SteeringEditor({
  value,
  onChange,
  leads,
  problem,
}: {
  value: SteeringDraft;
  onChange: (value: SteeringDraft) => void;
  /** Whether the type may lead to our edges. */
  leads: boolean;
  problem: Problem;
}) {
  const change = <K extends "answers" | "checks">(list: K, key: number, next: Partial<SteeringDraft[K][number]>) =>
    onChange({ ...value, [list]: value[list].map((one) => (one.key === key ? { ...one, ...next } : one)) });
  const drop = (list: "answers" | "checks", key: number) =>
    onChange({ ...value, [list]: value[list].filter((one: { key: number }) => one.key !== key) });
  const { policy, answers, checks } = value;
  return (
    <fieldset className={styles["steering"]}>
      <legend>{t.steering.title}</legend>
      <Select
        aria-label={t.steering.title}
        data={(leads ? (["same", "latency", "answers"] as const) : (["same", "answers"] as const)).map((p) => ({
          value: p,
          label: t.steering.policies[p],
        }))}
        value={policy}
        onChange={(next) => {
          const to = next === "latency" || next === "answers" ? next : "same";
          onChange({
            ...value,
            policy: to,
            answers: to === "answers" && answers.length === 0 ? [newAnswer()] : answers,
          });
        }}
        allowDeselect={false}
        maw={420}
        error={problem("/steering/policy")}
      />
      {policy === "latency" && <p className="soft">{t.steering.latencyText}</p>}
      {policy === "answers" && (
        <>
          <p className="soft">{t.steering.answersText}</p>
          {answers.map((answer, i) => (
            <Answer
              key={answer.key}
              number={i + 1}
              answer={answer}
              leads={leads}
              checks={checks}
              problem={(field) => problem(`/steering/answers/${i}${field}`)}
              onChange={(next) => change("answers", answer.key, next)}
              onDrop={() => drop("answers", answer.key)}
            />
          ))}
          {checks.map((check) => (
            <Check
              key={check.key}
              check={check}
              problem={(field) => problem(`/steering/checks/${check.name.trim()}${field}`)}
              onChange={(next) => {
                const renamed = next.name !== undefined && next.name !== check.name ? next.name : null;
                onChange({
                  ...value,
                  checks: checks.map((c) => (c.key === check.key ? { ...c, ...next } : c)),
                  // Answers name checks: they follow a new name.
                  answers:
                    renamed === null
                      ? answers
                      : answers.map((a) => (a.check === check.name ? { ...a, check: renamed } : a)),
                });
              }}
              onDrop={() =>
                onChange({
                  ...value,
                  checks: checks.filter((c) => c.key !== check.key),
                  answers: answers.map((a) => (a.check === check.name ? { ...a, check: "" } : a)),
                })
              }
            />
          ))}
          <div className="row wrap">
            <Button
              variant="default"
              leftSection={<Icon name="plus" size={14} />}
              onClick={() => onChange({ ...value, answers: [...answers, newAnswer()] })}
            >
              {t.steering.addAnswer}
            </Button>
            <Button
              variant="default"
              leftSection={<Icon name="plus" size={14} />}
              onClick={() => onChange({ ...value, checks: [...checks, newCheck(checks.map((c) => c.name))] })}
            >
              {t.steering.addCheck}
            </Button>
          </div>
          {problem("/steering/answers") && answers.length === 0 && (
            <Notice tone="bad">{problem("/steering/answers")}</Notice>
          )}
        </>
      )}
    </fieldset>
  );
}

function Card({
  title,
  dropLabel,
  onDrop,
  children,
}: {
  title: string;
  dropLabel: string;
  onDrop: () => void;
  children: ReactNode;
}) {
  return (
    <section className={styles["card"]} aria-label={title}>
      <div className="row between">
        <h4>{title}</h4>
        <ActionIcon size={24} aria-label={dropLabel} onClick={onDrop}>
          <Icon name="close" size={14} />
        </ActionIcon>
      </div>
      {children}
    </section>
  );
}

function Answer({
  number,
  answer: a,
  leads,
  checks,
  problem,
  onChange,
  onDrop,
}: {
  number: number;
  answer: AnswerDraft;
  leads: boolean;
  checks: CheckDraft[];
  problem: Problem;
  onChange: (next: Partial<AnswerDraft>) => void;
  onDrop: () => void;
}) {
  const regions = useRegions(a.regions);
  return (
    <Card title={t.steering.answer(number)} dropLabel={t.steering.dropAnswer(number)} onDrop={onDrop}>
      <div className={styles["recordForm"]}>
        <MultiSelect
          label={t.steering.continents}
          placeholder={a.continents.length === 0 ? t.steering.anywhere : ""}
          data={continents.map((value) => ({ value, label: t.steering.continentNames[value] ?? value }))}
          value={a.continents}
          onChange={(next) => onChange({ continents: next })}
          error={problem("/continents")}
        />
        <TagsInput
          label={t.steering.countries}
          placeholder={a.countries.length === 0 ? t.steering.countriesHint : ""}
          value={a.countries}
          onChange={(next) => onChange({ countries: next.map((c) => c.toUpperCase()) })}
          splitChars={[",", " "]}
          error={problem("/countries")}
        />
        <MultiSelect
          label={t.steering.regions}
          placeholder={a.regions.length === 0 ? t.steering.anywhere : ""}
          data={regions}
          value={a.regions}
          onChange={(next) => onChange({ regions: next })}
          error={problem("/regions")}
        />
      </div>
      {leads && (
        <div>
          <SegmentedControl
            aria-label={t.recordForm.says}
            value={a.says}
            onChange={(next) => onChange({ says: next === "target" ? "target" : "values" })}
            data={[
              { value: "values", label: t.recordForm.kinds.values },
              { value: "target", label: t.recordForm.kinds.target },
            ]}
          />
        </div>
      )}
      {leads && a.says === "target" ? (
        <TargetFields value={a.target} onChange={(target) => onChange({ target })} error={problem("/target")} />
      ) : (
        <Textarea
          label={t.recordForm.values}
          description={t.recordForm.valuesHint}
          autosize
          minRows={1}
          maxRows={8}
          autoCapitalize="off"
          spellCheck={false}
          styles={machineText}
          value={a.values}
          onChange={(event) => onChange({ values: event.currentTarget.value })}
          error={problem("/values")}
        />
      )}
      <div className={styles["recordForm"]}>
        <Select
          label={t.steering.check}
          data={[
            { value: "", label: t.steering.noCheck },
            ...checks.map((c) => ({ value: c.name, label: c.name })),
          ].filter((c, i) => i === 0 || c.value !== "")}
          value={a.check}
          onChange={(next) => onChange({ check: next ?? "" })}
          allowDeselect={false}
          error={problem("/check")}
        />
        <TextInput
          label={t.steering.order}
          placeholder="0"
          inputMode="numeric"
          value={a.order}
          onChange={(event) => onChange({ order: event.currentTarget.value })}
          error={problem("/order")}
        />
        <TextInput
          label={t.steering.weight}
          placeholder="1"
          inputMode="numeric"
          value={a.weight}
          onChange={(event) => onChange({ weight: event.currentTarget.value })}
          error={problem("/weight")}
        />
      </div>
    </Card>
  );
}

const numbers = ["interval", "timeout", "rise", "fall"] as const;
const usual = { interval: "10", timeout: "3", rise: "2", fall: "3" };

function Check({
  check: c,
  problem,
  onChange,
  onDrop,
}: {
  check: CheckDraft;
  problem: Problem;
  onChange: (next: Partial<CheckDraft>) => void;
  onDrop: () => void;
}) {
  const quiet = { autoCapitalize: "off", autoComplete: "off", spellCheck: false } as const;
  return (
    <Card title={t.steering.checkTitle(c.name)} dropLabel={t.steering.dropCheck(c.name)} onDrop={onDrop}>
      <div className={styles["recordForm"]}>
        <TextInput
          label={t.steering.checkName}
          {...quiet}
          value={c.name}
          onChange={(event) => onChange({ name: event.currentTarget.value })}
          error={problem("")}
        />
        <Select
          label={t.steering.checkType}
          data={Object.entries(t.steering.checkTypes).map(([value, label]) => ({ value, label }))}
          value={c.type}
          onChange={(type) => onChange({ type: type ?? "http" })}
          allowDeselect={false}
          error={problem("/type")}
        />
        <TextInput
          label={t.steering.port}
          placeholder={{ http: "80", https: "443" }[c.type] ?? ""}
          inputMode="numeric"
          value={c.port}
          onChange={(event) => onChange({ port: event.currentTarget.value })}
          error={problem("/port")}
        />
        {c.type !== "tcp" && (
          <>
            <TextInput
              label={t.steering.path}
              placeholder="/"
              {...quiet}
              value={c.path}
              onChange={(event) => onChange({ path: event.currentTarget.value })}
              error={problem("/path")}
            />
            <TextInput
              label={t.steering.host}
              placeholder={t.steering.hostHint}
              {...quiet}
              value={c.host}
              onChange={(event) => onChange({ host: event.currentTarget.value })}
              error={problem("/host")}
            />
          </>
        )}
        <TextInput
          label={t.steering.address}
          placeholder={t.steering.addressHint}
          {...quiet}
          value={c.address}
          onChange={(event) => onChange({ address: event.currentTarget.value })}
          error={problem("/address")}
        />
      </div>
      <div className={styles["four"]}>
        {numbers.map((name) => (
          <TextInput
            key={name}
            label={t.steering.numbers[name]}
            placeholder={usual[name]}
            inputMode="numeric"
            value={c[name]}
            onChange={(event) => onChange({ [name]: event.currentTarget.value })}
            error={problem(`/${name}`)}
          />
        ))}
      </div>
      {c.type === "https" && (
        <Checkbox
          size="xs"
          label={t.steering.skipVerify}
          checked={c.skipVerify}
          onChange={(event) => onChange({ skipVerify: event.currentTarget.checked })}
        />
      )}
    </Card>
  );
}
