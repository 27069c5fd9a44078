import { CopyButton } from "./CopyButton";
import styles from "./ui.module.css";

/** A command to run elsewhere, exactly as it is to be typed. */
export function CommandLine({ command, label, prompt = true }: { command: string; label: string; prompt?: boolean }) {
  return (
    <div className={styles["command"]}>
      {prompt && (
        <span className={`mono ${styles["prompt"]}`} aria-hidden="true">
          $
        </span>
      )}
      <pre>{command}</pre>
      <CopyButton value={command} label={label} size={26} />
    </div>
  );
}

/** A value to read and copy: a fingerprint, a record's name, an ID. */
export function CopyText({ value, label, shown }: { value: string; label?: string; shown?: string }) {
  return (
    <span className="row tight">
      <span className="mono" style={{ overflowWrap: "anywhere" }} title={shown ? value : undefined}>
        {shown ?? value}
      </span>
      <CopyButton value={value} {...(label ? { label } : {})} />
    </span>
  );
}
