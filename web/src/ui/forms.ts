import { useEffect } from "react";
import { ApiError } from "@/api/client";

type Form<Values> = {
  getValues: () => Values;
  setFieldError: (path: Extract<keyof Values, string>, error: string) => void;
};
type Fields<Values> = Record<string, Extract<keyof Values, string>>;

/**
 * The field that a JSON pointer is about: as `fields` says of it or of what it
 * lies in, else the one of the same name. "/domains/1" is a line of "domains".
 */
function fieldOf<Values extends Record<string, unknown>>(
  pointer: string,
  known: Values,
  fields: Fields<Values>,
): Extract<keyof Values, string> | undefined {
  for (let at = pointer; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) {
    const own = at.slice(1);
    const name = fields[at] ?? (own in known ? (own as Extract<keyof Values, string>) : undefined);
    if (name !== undefined) return name;
    if (!at.includes("/")) return undefined;
  }
  return undefined;
}

/** Puts the server's findings next to the fields they are about. */
function landErrors<Values extends Record<string, unknown>>(
  form: Form<Values>,
  error: unknown,
  fields: Fields<Values> = {},
): void {
  if (!(error instanceof ApiError)) return;
  const known = form.getValues();
  const found = new Map<Extract<keyof Values, string>, string[]>();
  for (const { pointer } of error.problem.errors ?? []) {
    const name = fieldOf(pointer, known, fields);
    const problem = error.field(pointer);
    if (name !== undefined && problem) found.set(name, [...(found.get(name) ?? []), problem]);
  }
  for (const [name, problems] of found) form.setFieldError(name, problems.join("\n"));
}

/** Lands an error once it is there; what comes back is for the form's end, which says what has no field to stand at. */
export function useLanded<Values extends Record<string, unknown>>(
  form: Form<Values>,
  error: Error | null,
  fields: Fields<Values> = {},
): { error: Error | null; placed: (pointer: string) => boolean } {
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the API has answered
  useEffect(() => landErrors(form, error, fields), [error]);
  return { error, placed: (pointer) => fieldOf(pointer, form.getValues(), fields) !== undefined };
}

/** What is wrong with each field, by the pointers of the API. */
export function fieldErrors(error: Error | null): (pointer: string) => string | undefined {
  return (pointer) => (error instanceof ApiError ? error.field(pointer) : undefined);
}

/** How text that machines read is written in a field: keys, certificates, zone files. */
export const machineText = { input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: 11.5 } } as const;
