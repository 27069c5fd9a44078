import {
  createSortedRowModel,
  rowSortingFeature,
  type SortingState,
  sortFns,
  tableFeatures,
  useTable,
} from "@tanstack/react-table";
import { Fragment, type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { t } from "@/lib/strings";
import { ScrollX } from "./ScrollX";
import styles from "./table.module.css";

export type Column<Row extends object> = {
  id: string;
  header: ReactNode;
  cell: (row: Row) => ReactNode;
  /** What the column sorts by; without it the column does not sort. */
  sort?: (row: Row) => string | number;
  align?: "right";
  /** Left out on narrower screens; the row's own page has it. */
  hideBelow?: "sm" | "md" | "lg";
  width?: string | number;
};

/** Column and direction, as it stands in the URL: "name" rising, "-name" falling. */
export type Sort = string | undefined;

const features = tableFeatures({ rowSortingFeature, sortedRowModel: createSortedRowModel(), sortFns });
const hidden = { sm: "hideSm", md: "hideMd", lg: "hideLg" } as const;

/** Above this many rows only those near the screen are in the document. */
const windowFrom = 120;

export function parseSort(sort: Sort): SortingState {
  if (!sort) return [];
  return sort.startsWith("-") ? [{ id: sort.slice(1), desc: true }] : [{ id: sort, desc: false }];
}

export function formatSort(state: SortingState): Sort {
  const first = state[0];
  return first && (first.desc ? `-${first.id}` : first.id);
}

/**
 * A table of rows of one height. Sorting belongs to the caller (it lives in the
 * URL); rows can unfold; long lists keep only what is near the screen.
 */
export function DataTable<Row extends object>({
  label,
  columns,
  rows,
  rowKey,
  sort,
  onSort,
  expanded,
  unfolded,
  rowHeight = 34,
}: {
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  rowKey: (row: Row) => string;
  sort?: Sort;
  onSort?: (sort: Sort) => void;
  expanded?: (row: Row) => ReactNode;
  /** The one row that is unfolded, by its key. Unlike `expanded`, it goes together with long lists. */
  unfolded?: { key: string; detail: (row: Row) => ReactNode };
  rowHeight?: number;
}) {
  const definitions = useMemo(
    () =>
      columns.map((column) => ({
        id: column.id,
        accessorFn: (row: Row) => column.sort?.(row) ?? "",
        enableSorting: column.sort !== undefined,
        sortDescFirst: column.align === "right",
      })),
    [columns],
  );
  const sorting = useMemo(() => parseSort(sort), [sort]);
  const table = useTable({
    features,
    columns: definitions,
    data: rows,
    getRowId: rowKey,
    state: { sorting },
    onSortingChange: (next) => onSort?.(formatSort(typeof next === "function" ? next(sorting) : next)),
  });
  const sorted = table.getRowModel().rows;
  const body = useRef<HTMLTableSectionElement>(null);
  const near = useRowWindow(body, sorted.length, rowHeight, sorted.length > windowFrom && !expanded);
  // What is being edited stays in the document, wherever the page has scrolled to.
  const open = unfolded ? sorted.findIndex((row) => row.id === unfolded.key) : -1;
  const [from, to] = open < 0 ? near : [Math.min(near[0], open), Math.max(near[1], open + 1)];
  const headers = table.getHeaderGroups()[0]?.headers ?? [];

  return (
    <ScrollX label={label}>
      <table className={styles["table"]} aria-label={label} aria-rowcount={sorted.length + 1}>
        <thead>
          <tr>
            {columns.map((column, i) => {
              const header = headers[i];
              const direction = header?.column.getIsSorted() ?? false;
              const className = `${column.align === "right" ? styles["right"] : ""} ${column.hideBelow ? hidden[column.hideBelow] : ""}`;
              return (
                <th
                  key={column.id}
                  scope="col"
                  className={className}
                  style={column.width === undefined ? undefined : { width: column.width }}
                  {...(column.sort && {
                    "aria-sort": direction === "asc" ? "ascending" : direction === "desc" ? "descending" : "none",
                  })}
                >
                  {column.sort && onSort ? (
                    <button
                      type="button"
                      className={styles["sortButton"]}
                      onClick={header?.column.getToggleSortingHandler()}
                    >
                      {column.header}
                      <span className={styles["sortMark"]} aria-hidden="true">
                        {direction === "asc" ? "↑" : direction === "desc" ? "↓" : ""}
                      </span>
                    </button>
                  ) : (
                    column.header
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody ref={body}>
          {from > 0 && <Spacer height={from * rowHeight} span={columns.length} />}
          {sorted.slice(from, to).map((row) => {
            const detail = unfolded?.key === row.id ? unfolded.detail(row.original) : expanded?.(row.original);
            return (
              <Fragment key={row.id}>
                <tr className={styles["hoverable"]}>
                  {columns.map((column) => (
                    <td
                      key={column.id}
                      className={`${column.align === "right" ? styles["right"] : ""} ${column.hideBelow ? hidden[column.hideBelow] : ""}`}
                    >
                      {column.cell(row.original)}
                    </td>
                  ))}
                </tr>
                {detail && (
                  <tr className={styles["detail"]}>
                    <td colSpan={columns.length}>{detail}</td>
                  </tr>
                )}
              </Fragment>
            );
          })}
          {to < sorted.length && <Spacer height={(sorted.length - to) * rowHeight} span={columns.length} />}
        </tbody>
      </table>
      <span role="status" className="srOnly">
        {t.table.rows(sorted.length)}
      </span>
    </ScrollX>
  );
}

function Spacer({ height, span }: { height: number; span: number }) {
  return (
    <tr className={styles["spacer"]}>
      <td colSpan={span} style={{ height }} />
    </tr>
  );
}

/** Which rows of a long list are near the screen, as the page scrolls. */
function useRowWindow(
  body: React.RefObject<HTMLTableSectionElement | null>,
  count: number,
  rowHeight: number,
  enabled: boolean,
): [from: number, to: number] {
  const [range, setRange] = useState<[number, number]>([0, windowFrom]);
  useEffect(() => {
    if (!enabled) return;
    const measure = () => {
      const top = body.current?.getBoundingClientRect().top ?? 0;
      const first = Math.max(0, Math.floor(-top / rowHeight) - 20);
      const last = Math.ceil((window.innerHeight - top) / rowHeight) + 20;
      // Steps of ten rows, so that a scroll does not render on every pixel.
      const next: [number, number] = [Math.floor(first / 10) * 10, Math.ceil(Math.max(last, windowFrom) / 10) * 10];
      setRange((old) => (old[0] === next[0] && old[1] === next[1] ? old : next));
    };
    measure();
    document.addEventListener("scroll", measure, { passive: true, capture: true });
    window.addEventListener("resize", measure);
    return () => {
      document.removeEventListener("scroll", measure, { capture: true });
      window.removeEventListener("resize", measure);
    };
  }, [body, rowHeight, enabled]);
  return enabled ? [Math.min(range[0], count), Math.min(range[1], count)] : [0, count];
}
