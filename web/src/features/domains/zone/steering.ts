import { ApiError } from "@/api/client";
import { t } from "@/lib/strings";
import type { RecordSet } from "../zoneQueries";
import type { TargetChoice } from "./TargetFields";

type Steering = NonNullable<RecordSet["steering"]>;

/** An answer as the editor has it: numbers as they are typed, one value a line. */
export type AnswerDraft = {
  key: number;
  continents: string[];
  countries: string[];
  regions: string[];
  says: "values" | "target";
  values: string;
  target: TargetChoice;
  order: string;
  weight: string;
  check: string;
};

export type CheckDraft = {
  key: number;
  name: string;
  type: string;
  port: string;
  path: string;
  host: string;
  address: string;
  skipVerify: boolean;
  interval: string;
  timeout: string;
  rise: string;
  fall: string;
};

export type SteeringDraft = { policy: "same" | "latency" | "answers"; answers: AnswerDraft[]; checks: CheckDraft[] };

export const continents = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

let made = 0;
/** What React tells rows apart by: they have no identity of their own, and move. */
const nextKey = () => ++made;

export function newAnswer(): AnswerDraft {
  return {
    key: nextKey(),
    continents: [],
    countries: [],
    regions: [],
    says: "values",
    values: "",
    target: { kind: "edges", id: "" },
    order: "",
    weight: "",
    check: "",
  };
}

export function newCheck(taken: string[]): CheckDraft {
  const name = ["http", "http2", "http3"].find((n) => !taken.includes(n)) ?? `check${taken.length + 1}`;
  return {
    key: nextKey(),
    name,
    type: "http",
    port: "",
    path: "",
    host: "",
    address: "",
    skipVerify: false,
    interval: "",
    timeout: "",
    rise: "",
    fall: "",
  };
}

const shown = (n: number | undefined) => (n ? String(n) : "");

/** The editor's view of what a set has. */
export function toSteering(steering: Steering | undefined): SteeringDraft {
  if (!steering) return { policy: "same", answers: [], checks: [] };
  return {
    policy: steering.policy === "latency" ? "latency" : "answers",
    answers: (steering.answers ?? []).map((a) => ({
      ...newAnswer(),
      continents: a.continents ?? [],
      countries: a.countries ?? [],
      regions: a.regions ?? [],
      says: a.target ? "target" : "values",
      values: (a.values ?? []).join("\n"),
      target: { kind: a.target?.kind ?? "edges", id: a.target?.id ?? "" },
      order: shown(a.order),
      weight: shown(a.weight),
      check: a.check ?? "",
    })),
    checks: Object.entries(steering.checks ?? {}).map(([name, c]) => ({
      ...newCheck([]),
      name,
      type: c.type,
      port: shown(c.port),
      path: c.path ?? "",
      host: c.host ?? "",
      address: c.address ?? "",
      skipVerify: c.skip_verify ?? false,
      interval: shown(c.interval),
      timeout: shown(c.timeout),
      rise: shown(c.rise),
      fall: shown(c.fall),
    })),
  };
}

/** Only what was filled in; a number that is none goes as it is, for the API to say so. */
function given(fields: Record<string, string>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([, value]) => value.trim() !== "")
      .map(([name, value]) => [name, Number(value)]),
  );
}

export const lines = (text: string) =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

export function targetData({ kind, id }: TargetChoice) {
  return kind === "edges" ? { kind } : { kind, id };
}

/** What the editor means; undefined when everybody gets the same. */
export function steeringData(draft: SteeringDraft): Steering | undefined {
  if (draft.policy === "same") return undefined;
  if (draft.policy === "latency") return { policy: "latency" };
  const list = (name: string, values: string[]) => (values.length > 0 ? { [name]: values } : {});
  return {
    answers: draft.answers.map((a) => ({
      ...list("continents", a.continents),
      ...list("countries", a.countries),
      ...list("regions", a.regions),
      ...given({ order: a.order, weight: a.weight }),
      ...(a.check && { check: a.check }),
      ...(a.says === "target" ? { target: targetData(a.target) } : { values: lines(a.values) }),
    })),
    ...(draft.checks.length > 0 && {
      checks: Object.fromEntries(
        draft.checks.map((c) => [
          c.name.trim(),
          {
            type: c.type,
            ...given({ port: c.port, interval: c.interval, timeout: c.timeout, rise: c.rise, fall: c.fall }),
            ...(c.path && { path: c.path }),
            ...(c.host && { host: c.host }),
            ...(c.address && { address: c.address }),
            ...(c.skipVerify && { skip_verify: true }),
          },
        ]),
      ),
    }),
  };
}

/** What can be told without the API: a number that is none. */
export function steeringFaults(draft: SteeringDraft): Map<string, string> {
  const faults = new Map<string, string>();
  if (draft.policy !== "answers") return faults;
  const number = (pointer: string, value: string) => {
    if (!/^\d*$/.test(value.trim())) faults.set(pointer, t.steering.numberWrong);
  };
  draft.answers.forEach((a, i) => {
    number(`/steering/answers/${i}/order`, a.order);
    number(`/steering/answers/${i}/weight`, a.weight);
  });
  for (const c of draft.checks) {
    const at = `/steering/checks/${c.name.trim()}`;
    if (c.name.trim() === "") faults.set(at, t.steering.checkNameNeeded);
    for (const name of ["port", "interval", "timeout", "rise", "fall"] as const) number(`${at}/${name}`, c[name]);
  }
  return faults;
}

/** What the API found at a pointer and below it, in sentences. */
export function foundAt(error: Error | null, pointer: string): string | undefined {
  if (!(error instanceof ApiError)) return undefined;
  const found = (error.problem.errors ?? [])
    .filter((e) => e.pointer === pointer || e.pointer.startsWith(`${pointer}/`))
    .map((e) => error.field(e.pointer));
  return found.length > 0 ? found.join("\n") : undefined;
}
