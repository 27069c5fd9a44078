import { ApiError, fieldName } from "@/api/client";
import { Notice } from "./Notice";

/**
 * What was refused and is not said at a field, in the server's words: each
 * finding by the name of its field, else the detail with what to do. `placed`
 * tells which findings the form shows where they were typed.
 */
export function Refused({
  error,
  placed,
  title,
}: {
  error: Error | null | undefined;
  placed?: ((pointer: string) => boolean) | undefined;
  title?: string;
}) {
  if (!error) return null;
  const found = error instanceof ApiError ? (error.problem.errors ?? []) : [];
  const left = placed ? found.filter((f) => !placed(f.pointer)) : found;
  if (found.length > 0 && left.length === 0) return null;
  return (
    <Notice tone="bad" alert {...(title && { title })}>
      {error instanceof ApiError && left.length > 0
        ? left.map((f) => (
            <div key={`${f.pointer} ${f.detail}`}>
              <span style={{ fontWeight: 500 }}>{fieldName(f.pointer)}:</span> {error.field(f.pointer)}
            </div>
          ))
        : error.message}
    </Notice>
  );
}
