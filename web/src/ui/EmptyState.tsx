import type { ReactNode } from "react";
import { Icon, type IconName } from "./icons";
import styles from "./ui.module.css";

/** Nothing is here: why, and the one thing to do about it. */
export function EmptyState({
  icon,
  title,
  children,
  action,
  level = 3,
}: {
  icon: IconName;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
  level?: 1 | 2 | 3;
}) {
  const Heading = level === 1 ? "h1" : level === 2 ? "h2" : "h3";
  return (
    <div className={styles["state"]}>
      <span className={styles["stateIcon"]}>
        <Icon name={icon} size={20} />
      </span>
      <Heading>{title}</Heading>
      {children && <p>{children}</p>}
      {action && <div className={styles["stateActions"]}>{action}</div>}
    </div>
  );
}
