import type { ReactNode } from "react";
import styles from "./ui.module.css";

/** A titled surface. `window` says which span of time its numbers cover; `flush` lets a table reach the edges. */
export function Panel({
  title,
  window,
  actions,
  children,
  flush = false,
  id,
}: {
  title?: ReactNode;
  window?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  flush?: boolean;
  id?: string;
}) {
  const labelled =
    id ?? (typeof title === "string" ? `panel-${title.toLowerCase().replace(/[^a-z0-9]+/g, "-")}` : undefined);
  return (
    <section className={styles["panel"]} aria-labelledby={title ? labelled : undefined}>
      {title && (
        <div className={styles["panelHead"]}>
          <h2 id={labelled}>{title}</h2>
          {window && <span className={styles["panelWindow"]}>{window}</span>}
          {actions && <div className={styles["panelActions"]}>{actions}</div>}
        </div>
      )}
      <div className={flush ? (title ? styles["panelFlush"] : undefined) : styles["panelBody"]}>{children}</div>
    </section>
  );
}

export function PageHeader({
  title,
  badge,
  description,
  actions,
}: {
  title: ReactNode;
  badge?: ReactNode;
  description?: ReactNode;
  actions?: ReactNode;
}) {
  return (
    <header className={styles["pageHead"]}>
      <div className="grow">
        <div className="row wrap">
          <h1>{title}</h1>
          {badge}
        </div>
        {description && <p>{description}</p>}
      </div>
      {actions && <div className={styles["pageActions"]}>{actions}</div>}
    </header>
  );
}

/** Names and values of one object. */
export function Fields({ rows }: { rows: [name: string, value: ReactNode][] }) {
  return (
    <dl className={styles["fields"]}>
      {rows.map(([name, value]) => (
        <FieldRow key={name} name={name} value={value} />
      ))}
    </dl>
  );
}

function FieldRow({ name, value }: { name: string; value: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  );
}

export type StatItem = { label: string; value: string; unit?: string | undefined; note: string };

/** Headline numbers; `note` is the window each covers. */
export function Stats({ items, label }: { items: StatItem[]; label: string }) {
  return (
    <section className={styles["stats"]} aria-label={label}>
      {items.map((item) => (
        <div key={item.label} className={styles["stat"]}>
          <span className={styles["statLabel"]}>{item.label}</span>
          <span className={styles["statValue"]}>
            {item.value}
            {item.unit && <span className={styles["statUnit"]}>{item.unit}</span>}
          </span>
          <span className={styles["statNote"]}>{item.note}</span>
        </div>
      ))}
    </section>
  );
}
