import type { ReactNode } from "react";
import styles from "./ui.module.css";

/** What a state means to the reader. Each tone has a shape of its own, so that colour is never the only sign. */
export type Tone = "ok" | "info" | "warn" | "bad" | "idle";

const size = 13;

function Shape({ tone }: { tone: Tone }) {
  const common = { width: size, height: size, viewBox: "0 0 16 16" } as const;
  const line = { fill: "none", stroke: "currentColor", strokeWidth: 2, strokeLinecap: "round" } as const;
  const cut = { ...line, stroke: "var(--ew-surface)", strokeLinejoin: "round" } as const;
  switch (tone) {
    case "ok":
      return (
        <svg aria-hidden="true" {...common}>
          <circle cx="8" cy="8" r="7" fill="currentColor" />
          <path d="M4.800 8.300 7.100 10.600 11.300 5.800" {...cut} />
        </svg>
      );
    case "info":
      return (
        <svg aria-hidden="true" {...common} className={styles["spin"]}>
          <circle cx="8" cy="8" r="6" {...line} opacity="0.28" />
          <path d="M8 2a6 6 0 0 1 6 6" {...line} />
        </svg>
      );
    case "warn":
      return (
        <svg aria-hidden="true" {...common}>
          <path d="M8 1.500 15.300 14.500H.7z" fill="currentColor" stroke="currentColor" strokeLinejoin="round" />
          <path d="M8 6.200v3.300M8 12v.1" {...cut} />
        </svg>
      );
    case "bad":
      return (
        <svg aria-hidden="true" {...common}>
          <path d="M5 .8h6L15.200 5v6L11 15.200H5L.8 11V5z" fill="currentColor" />
          <path d="M5.600 5.600l4.800 4.800M10.400 5.600l-4.800 4.800" {...cut} />
        </svg>
      );
    case "idle":
      return (
        <svg aria-hidden="true" {...common}>
          <circle cx="8" cy="8" r="6" {...line} strokeDasharray="2.400 3.880" />
        </svg>
      );
  }
}

/** A state in words with its shape; `pill` sets it on a tinted ground for page headers. */
export function StatusBadge({
  tone,
  children,
  pill = false,
  title,
}: {
  tone: Tone;
  children: ReactNode;
  pill?: boolean;
  title?: string | undefined;
}) {
  return (
    <span className={`${styles["status"]} ${styles[tone]} ${pill ? styles["pill"] : ""}`} title={title}>
      <Shape tone={tone} />
      <span>{children}</span>
    </span>
  );
}
