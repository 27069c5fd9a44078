import { Button } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useState } from "react";
import { t } from "@/lib/strings";

/** A short message that nothing more is to be done about. */
export function toast(message: string, tone: "ok" | "bad" = "ok"): void {
  notifications.show({ message, color: tone === "ok" ? "teal" : "red", autoClose: tone === "ok" ? 4000 : 8000 });
}

/** Says what was done and offers to take it back, for ten seconds. */
export function undoToast(message: string, undo: () => Promise<unknown>): void {
  const id = notifications.show({
    color: "gray",
    autoClose: 10_000,
    message: (
      <UndoMessage
        message={message}
        undo={undo}
        onDone={(text, failed) => {
          notifications.hide(id);
          toast(text, failed ? "bad" : "ok");
        }}
      />
    ),
  });
}

function UndoMessage({
  message,
  undo,
  onDone,
}: {
  message: string;
  undo: () => Promise<unknown>;
  onDone: (text: string, failed: boolean) => void;
}) {
  const [pending, setPending] = useState(false);
  return (
    <div className="row between">
      <span>{message}</span>
      <Button
        variant="default"
        size="compact-xs"
        loading={pending}
        onClick={() => {
          setPending(true);
          undo().then(
            () => onDone(t.undo.done, false),
            (error: unknown) => onDone(t.undo.failed(error instanceof Error ? error.message : ""), true),
          );
        }}
      >
        {t.undo.action}
      </Button>
    </div>
  );
}
