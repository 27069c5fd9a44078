import type { SVGProps } from "react";

/** Drawn on a 24-unit grid, stroked with the text's colour. One set for the whole dashboard. */
const paths = {
  activity: "M3 12h4l3-8 4 16 3-8h4",
  alert: "M12 3.5 2.5 20h19zM12 10v4.5M12 17.2v.1",
  arrowLeft: "M19 12H5M11 6l-6 6 6 6",
  arrowRight: "M5 12h14M13 6l6 6-6 6",
  certificate: "M12 3.5 5 6v5.5c0 4.4 2.9 7.6 7 9 4.1-1.4 7-4.6 7-9V6zM9 12l2.2 2.2L15.2 10",
  check: "M5 12.5l4.5 4.5L19 7.5",
  chevronDown: "M6 9l6 6 6-6",
  chevronRight: "M9 6l6 6-6 6",
  chevronUp: "M6 15l6-6 6 6",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h11v11H9zM5.5 15H4V4h11v1.5",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
  edges: "M4 5h16v6H4zM4 13h16v6H4zM7.5 8v.1M7.5 16v.1M11 8h5M11 16h5",
  edit: "M4 20l1-4L16.5 4.5l3 3L8 19zM14 7l3 3",
  external: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  file: "M6 3h8l5 5v13H6zM14 3v5h5",
  globe: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M3.5 9.5h17M3.5 14.5h17M12 3c-3.8 5-3.8 13 0 18M12 3c3.8 5 3.8 13 0 18",
  help: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M9.5 9.5c0-3.4 5-3.2 5 0 0 2-2.5 2.2-2.5 4.2M12 16.8v.1",
  key: "M15 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M11 13l-8 8M6 18l2.5 2.5M16.3 7.7v.1",
  layers: "M12 3 3 8l9 5 9-5zM3 12.5l9 5 9-5M3 16.5l9 5 9-5",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  lock: "M5 11h14v9.500H5zM8 11V7.500a4 4 0 0 1 8 0V11M12 15v2",
  menu: "M4 7h16M4 12h16M4 17h16",
  minus: "M5 12h14",
  monitor: "M3 4.5h18v12H3zM9 20.5h6M12 16.5v4",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.500 10.500z",
  more: "M5 12v.1M12 12v.1M19 12v.1",
  overview: "M4 4h7v9H4zM4 16h7v4H4zM14 4h6v4h-6zM14 11h6v9h-6z",
  pause: "M8 5v14M16 5v14",
  play: "M7 4.500v15l12-7.500z",
  plus: "M12 5v14M5 12h14",
  purge: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  refresh: "M20 11a8 8 0 0 0-14.500-4L4 9M4 4v5h5M4 13a8 8 0 0 0 14.500 4l1.500-2M20 20v-5h-5",
  search: "M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13M15.500 15.500 20.500 20.500",
  settings:
    "M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6M19 12a7 7 0 0 0-.1-1.300l2-1.600-2-3.400-2.400 1a7 7 0 0 0-2.200-1.300L14 3h-4l-.3 2.400a7 7 0 0 0-2.200 1.300l-2.400-1-2 3.400 2 1.600a7 7 0 0 0 0 2.600l-2 1.600 2 3.400 2.400-1a7 7 0 0 0 2.200 1.300L10 21h4l.3-2.400a7 7 0 0 0 2.200-1.300l2.400 1 2-3.400-2-1.600A7 7 0 0 0 19 12",
  signOut: "M10 4H4v16h6M15 8l4 4-4 4M19 12H9",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M5.300 18.700l1.400-1.400M17.300 6.700l1.400-1.400",
  terminal: "M3 4h18v16H3zM7 9l3 3-3 3M12.500 15h4",
  undo: "M8 5 4 9l4 4M4 9h10a6 6 0 0 1 0 12h-3",
  unlock: "M5 11h14v9.500H5zM8 11V7.500a4 4 0 0 1 7.700-1.500M12 15v2",
  upload: "M12 15V4M7 8l5-5 5 5M4 20h16",
  user: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8M4.500 20.500c1-4 4-5.500 7.500-5.500s6.500 1.500 7.500 5.500",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, size = 16, ...rest }: { name: IconName; size?: number } & SVGProps<SVGSVGElement>) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth={size <= 14 ? 2.1 : 1.8}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      {...rest}
    >
      <path d={paths[name]} />
    </svg>
  );
}

/** The product's mark: an E whose middle stroke ends in a node. */
export function Mark({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#3451c2" />
      <path
        d="M23 9H9v14h14M9 16h10"
        fill="none"
        stroke="#fff"
        strokeWidth="3"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
      <circle cx="23" cy="16" r="2.6" fill="#9fe8c5" />
    </svg>
  );
}
