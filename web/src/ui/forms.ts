import { ApiError } from "@/api/client";

/**
 * Puts the server's findings next to the fields they are about. `fields` maps
 * JSON pointers to names in the form; a pointer "/name" finds "name" by itself.
 */
export function landErrors<Values extends Record<string, unknown>>(
  form: {
    values?: Values;
    getValues: () => Values;
    setFieldError: (path: Extract<keyof Values, string>, error: string) => void;
  },
  error: unknown,
  fields: Record<string, Extract<keyof Values, string>> = {},
): void {
  if (!(error instanceof ApiError)) return;
  const known = form.getValues();
  for (const { pointer } of error.problem.errors ?? []) {
    const own = pointer.replace(/^\//, "");
    const name = fields[pointer] ?? (own in known ? (own as Extract<keyof Values, string>) : undefined);
    const problem = error.field(pointer);
    if (name !== undefined && problem) form.setFieldError(name, problem);
  }
}
