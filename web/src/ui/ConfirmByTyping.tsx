import { Modal, TextInput } from "@mantine/core";
import { type ReactNode, useEffect, useState } from "react";
import { refocus } from "@/lib/focus";
import { readable } from "@/lib/idn";
import { t } from "@/lib/strings";
import { FormEnd } from "./FormEnd";

/** Asks for the name of what is about to go, letter by letter, before it goes: as people write it, or as the DNS has it. */
export function ConfirmByTyping({
  opened,
  onClose,
  title,
  name,
  children,
  confirmLabel,
  onConfirm,
  pending,
  error,
}: {
  opened: boolean;
  onClose: () => void;
  title: string;
  name: string;
  children?: ReactNode;
  confirmLabel: string;
  onConfirm: () => void;
  pending: boolean;
  error?: Error | null;
}) {
  // Who shows it only while it is open takes it away with the focus in it.
  useEffect(() => () => void setTimeout(refocus, 50), []);
  return (
    <Modal opened={opened} onClose={onClose} title={title}>
      <Body
        name={name}
        confirmLabel={confirmLabel}
        onConfirm={onConfirm}
        onClose={onClose}
        pending={pending}
        error={error ?? null}
      >
        {children}
      </Body>
    </Modal>
  );
}

// Apart from the modal, so that what was typed is gone when it opens again.
function Body({
  name,
  children,
  confirmLabel,
  onConfirm,
  onClose,
  pending,
  error,
}: {
  name: string;
  children: ReactNode;
  confirmLabel: string;
  onConfirm: () => void;
  onClose: () => void;
  pending: boolean;
  error: Error | null;
}) {
  const [typed, setTyped] = useState("");
  const [past] = useState(error); // of the last time that it was open
  const matches = [name, readable(name)].includes(typed.trim().normalize("NFC"));
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (matches && !pending) onConfirm();
      }}
    >
      {children}
      <TextInput
        label={
          <>
            {t.confirm.type} <span className="mono">{readable(name)}</span>
          </>
        }
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        data-autofocus
      />
      <FormEnd
        error={error === past ? null : error}
        pending={pending}
        onCancel={onClose}
        label={confirmLabel}
        disabled={!matches}
        danger
      />
    </form>
  );
}
