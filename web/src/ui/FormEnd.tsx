import { Button } from "@mantine/core";
import { t } from "@/lib/strings";
import { unplaced } from "./forms";
import { Notice } from "./Notice";

/**
 * The end of a form in a dialog: what was refused and is not said at a field,
 * Cancel, and the button that sends. `placed` tells which of the server's
 * findings the form shows where they were typed.
 */
export function FormEnd({
  error,
  placed,
  pending,
  onCancel,
  label,
  disabled = false,
  danger = false,
}: {
  error: Error | null;
  placed?: (pointer: string) => boolean;
  pending: boolean;
  onCancel: () => void;
  label: string;
  disabled?: boolean;
  danger?: boolean;
}) {
  const left = unplaced(error, placed);
  return (
    <>
      {left && (
        <Notice tone="bad" alert>
          {left.message}
        </Notice>
      )}
      <div className="row" style={{ justifyContent: "flex-end" }}>
        <Button variant="default" onClick={onCancel} disabled={pending}>
          {t.common.cancel}
        </Button>
        <Button type="submit" loading={pending} disabled={disabled} {...(danger && { color: "red" })}>
          {label}
        </Button>
      </div>
    </>
  );
}
