import { ActionIcon, TextInput } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import shell from "@/app/shell.module.css";
import { t } from "@/lib/strings";
import { Icon } from "./icons";

/** How long typing rests before the address (and with it the list) follows. */
const restMs = 150;

/** Filters a list by text. The value lives in the URL; "/" brings the cursor here. */
export function FilterInput({
  value,
  onChange,
  label,
}: {
  value: string | undefined;
  onChange: (value: string | undefined) => void;
  label: string;
}) {
  const [typed, setTyped] = useState(value ?? "");
  const sent = useRef(value ?? "");
  const change = useRef(onChange);
  change.current = onChange;

  // The address changed from elsewhere: a link, Back, "clear the filter".
  useEffect(() => {
    if ((value ?? "") === sent.current) return;
    sent.current = value ?? "";
    setTyped(value ?? "");
  }, [value]);

  useEffect(() => {
    if (typed === sent.current) return;
    const timer = setTimeout(() => {
      sent.current = typed;
      change.current(typed === "" ? undefined : typed);
    }, restMs);
    return () => clearTimeout(timer);
  }, [typed]);

  return (
    <TextInput
      type="search"
      size="xs"
      w={{ base: "100%", xs: 280 }}
      aria-label={label}
      placeholder={label}
      data-filter
      value={typed}
      onChange={(event) => setTyped(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        if (typed === "") event.currentTarget.blur();
        setTyped("");
      }}
      leftSection={<Icon name="search" size={14} />}
      rightSection={
        typed === "" ? (
          <kbd className={`${shell["kbd"]} hideSm`}>/</kbd>
        ) : (
          <ActionIcon size={20} aria-label={t.table.clear} onClick={() => setTyped("")}>
            <Icon name="close" size={13} />
          </ActionIcon>
        )
      }
    />
  );
}
