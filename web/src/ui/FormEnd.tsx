import { Button } from "@mantine/core";
import { t } from "@/lib/strings";
import { Refused } from "./Refused";

type End = {
  error: Error | null;
  /** Which of the server's findings the form shows where they were typed. */
  placed?: ((pointer: string) => boolean) | undefined;
  pending: boolean;
  label: string;
  disabled?: boolean;
};

/** The end of a form in a dialog: what was refused and is not said at a field, Cancel, and the button that sends. */
export function FormEnd({
  error,
  placed,
  pending,
  onCancel,
  label,
  disabled = false,
  danger = false,
}: End & { onCancel: () => void; danger?: boolean }) {
  return (
    <>
      <Refused error={error} placed={placed} />
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

/** The end of a form whose change is reviewed before it is made (ChangeFlow): the same, with Cancel where there is a way back. */
export function ReviewEnd({
  error,
  placed,
  pending,
  onCancel,
  label,
  disabled = false,
}: End & { onCancel?: () => void }) {
  return (
    <>
      <Refused error={error} placed={placed} />
      <div className="row">
        <Button type="submit" loading={pending} disabled={disabled}>
          {label}
        </Button>
        {onCancel && (
          <Button variant="default" onClick={onCancel} disabled={pending}>
            {t.common.cancel}
          </Button>
        )}
      </div>
    </>
  );
}
