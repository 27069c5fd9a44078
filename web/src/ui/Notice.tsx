import type { ReactNode } from "react";
import { Icon, type IconName } from "./icons";
import type { Tone } from "./StatusBadge";
import styles from "./ui.module.css";

const icons: Record<Tone, IconName> = { ok: "check", info: "help", warn: "alert", bad: "alert", idle: "help" };

/** A remark in the flow of a page. With `alert`, assistive technology reads it at once. */
export function Notice({
  tone,
  title,
  children,
  action,
  alert = false,
}: {
  tone: Tone;
  title?: ReactNode;
  children?: ReactNode;
  action?: ReactNode;
  alert?: boolean;
}) {
  return (
    <div className={`${styles["notice"]} ${styles[tone]}`} role={alert ? "alert" : undefined}>
      <Icon name={icons[tone]} size={15} />
      <div className={styles["noticeBody"]}>
        {title && <strong>{title}</strong>}
        {title && children ? " " : null}
        {children}
      </div>
      {action && <div className={styles["noticeAction"]}>{action}</div>}
    </div>
  );
}
