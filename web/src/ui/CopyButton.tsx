import { ActionIcon, Tooltip, VisuallyHidden } from "@mantine/core";
import { useEffect, useState } from "react";
import { t } from "@/lib/strings";
import { Icon } from "./icons";

/**
 * Puts text on the clipboard. Over plain HTTP to another host the clipboard
 * API does not exist; selecting a hidden field works there.
 */
export async function copyText(value: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(value);
  const field = document.createElement("textarea");
  field.value = value;
  field.readOnly = true;
  field.style.position = "fixed";
  field.style.opacity = "0";
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (!copied) throw new Error("the browser refused to copy");
}

/** Copies `value`. The label names what is copied, so that a list of them can be told apart. */
export function CopyButton({ value, label, size = 22 }: { value: string; label?: string; size?: number }) {
  const [state, setState] = useState<"idle" | "copied" | "failed">("idle");
  useEffect(() => {
    if (state === "idle") return;
    const timer = setTimeout(() => setState("idle"), 1600);
    return () => clearTimeout(timer);
  }, [state]);
  const name = label ?? t.copy.value(value);
  const text = state === "copied" ? t.copy.done : state === "failed" ? t.copy.failed : name;
  return (
    <>
      <Tooltip label={text}>
        <ActionIcon
          size={size}
          color={state === "copied" ? "teal" : "gray"}
          aria-label={name}
          onClick={(event) => {
            event.stopPropagation();
            copyText(value).then(
              () => setState("copied"),
              () => setState("failed"),
            );
          }}
        >
          <Icon name={state === "copied" ? "check" : "copy"} size={14} />
        </ActionIcon>
      </Tooltip>
      {state !== "idle" && <VisuallyHidden role="status">{text}</VisuallyHidden>}
    </>
  );
}
