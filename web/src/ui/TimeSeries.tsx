import "uplot/dist/uPlot.min.css";
import { SegmentedControl, useComputedColorScheme } from "@mantine/core";
import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import { time } from "@/lib/format";
import { t } from "@/lib/strings";
import styles from "./chart.module.css";
import table from "./table.module.css";

export type Line = {
  label: string;
  /** A custom property of the theme, "--ew-chart-1". */
  color: string;
  values: (number | null)[];
  format: (value: number) => string;
};

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/**
 * Lines over time, with a table as twin for who cannot or will not read a
 * chart. `x` is Unix seconds, rising. New data moves the lines; it never
 * builds the chart again.
 */
export function TimeSeries({
  title,
  x,
  lines,
  height = 200,
  view,
  onView,
}: {
  title: string;
  x: number[];
  lines: Line[];
  height?: number;
  view?: "chart" | "table";
  onView?: (view: "chart" | "table") => void;
}) {
  const [ownView, setOwnView] = useState<"chart" | "table">("chart");
  const shown = view ?? ownView;
  return (
    <figure aria-label={title} className={styles["chart"]}>
      <div className="row between" style={{ alignItems: "flex-start" }}>
        {shown === "chart" ? (
          <Chart title={title} x={x} lines={lines} height={height} />
        ) : (
          <Twin title={title} x={x} lines={lines} height={height} />
        )}
      </div>
      <div style={{ position: "absolute", top: -2, insetInlineEnd: 0 }}>
        <SegmentedControl
          aria-label={t.chart.view(title)}
          value={shown}
          onChange={(next) => (onView ?? setOwnView)(next === "table" ? "table" : "chart")}
          data={[
            { value: "chart", label: t.chart.chart },
            { value: "table", label: t.chart.table },
          ]}
        />
      </div>
    </figure>
  );
}

function Chart({ title, x, lines, height }: { title: string; x: number[]; lines: Line[]; height: number }) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(lines);
  latest.current = lines;
  const scheme = useComputedColorScheme("light");
  const [cursor, setCursor] = useState<number | null>(null);
  const shape = lines.map((l) => `${l.label}|${l.color}`).join();
  const data = useMemo<uPlot.AlignedData>(() => [x, ...lines.map((l) => l.values)], [x, lines]);
  const pending = useRef(data);
  pending.current = data;

  // biome-ignore lint/correctness/useExhaustiveDependencies: the chart is built again for another scheme or other lines, not for new data
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const axis: uPlot.Axis = {
      stroke: token("--ew-ink-3"),
      font: "11px 'Inter Variable', system-ui",
      grid: { stroke: token("--ew-chart-grid"), width: 1 },
      ticks: { show: false },
      gap: 6,
    };
    const made = new uPlot(
      {
        width: element.clientWidth || 600,
        height,
        padding: [8, 28, 0, 0],
        legend: { show: false },
        cursor: { drag: { x: false, y: false }, points: { size: 6 }, y: false },
        hooks: { setCursor: [(u) => setCursor(u.cursor.idx ?? null)] },
        scales: { y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.15 : 1] } },
        axes: [
          {
            ...axis,
            size: 24,
            space: 72,
            values: (_u, ticks) =>
              ticks.map((s) =>
                time(s * 1000).slice(0, ticks.length > 1 && (ticks[1] ?? 0) - (ticks[0] ?? 0) < 60 ? 8 : 5),
              ),
          },
          {
            ...axis,
            size: 52,
            space: 36,
            values: (_u, ticks) => ticks.map((v) => latest.current[0]?.format(v) ?? String(v)),
          },
        ],
        series: [
          {},
          ...lines.map((line) => ({
            label: line.label,
            stroke: token(line.color),
            fill: `${token(line.color)}14`,
            width: 1.5,
            // A line needs two points; until then the first one shows as itself.
            points: { show: (u: uPlot, index: number) => (u.data[index] ?? []).filter((v) => v != null).length < 3 },
            spanGaps: false,
          })),
        ],
      },
      pending.current,
      element,
    );
    plot.current = made;
    const resize = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [scheme, shape, height]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [data]);

  const index = cursor ?? x.length - 1;
  const at = x[index];
  return (
    <div className="grow">
      <div className={styles["legend"]} style={{ paddingInlineEnd: 120 }}>
        {lines.map((line) => {
          const value = line.values[index];
          return (
            <span key={line.label}>
              <i style={{ borderColor: `var(${line.color})` }} />
              {line.label} <b>{value == null ? "–" : line.format(value)}</b>
            </span>
          );
        })}
        {at !== undefined && <span className="dim">{time(at * 1000)}</span>}
      </div>
      <div
        ref={host}
        role="img"
        aria-label={t.chart.summary(title, lines.map((l) => `${l.label} ${l.format(l.values.at(-1) ?? 0)}`).join(", "))}
        style={{ height }}
      />
    </div>
  );
}

function Twin({ title, x, lines, height }: { title: string; x: number[]; lines: Line[]; height: number }) {
  const rows = x.map((at, i) => ({ at, i })).reverse();
  return (
    <div
      className={`grow ${table["scroll"]}`}
      style={{ height: height + 24, overflowY: "auto", marginTop: 30 }}
      tabIndex={0}
    >
      <table className={table["table"]} aria-label={title}>
        <thead>
          <tr>
            <th scope="col">{t.chart.time}</th>
            {lines.map((line) => (
              <th key={line.label} scope="col" className={table["right"]}>
                {line.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ at, i }) => (
            <tr key={at}>
              <td>{time(at * 1000)}</td>
              {lines.map((line) => {
                const value = line.values[i];
                return (
                  <td key={line.label} className={table["right"]}>
                    {value == null ? "–" : line.format(value)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
