import { SegmentedControl } from "@mantine/core";
import { useMemo } from "react";
import { decimal } from "@/lib/format";
import { t } from "@/lib/strings";
import type { Rates } from "@/lib/traffic";
import { type Line, TimeSeries } from "./TimeSeries";

const rate = (value: number) => t.domains.rate(decimal(value));

/** Requests, cache hits and errors a second. */
export function TrafficChart({
  rates,
  height = 200,
  view,
  onView,
}: {
  rates: Rates;
  height?: number;
  view?: "chart" | "table";
  onView?: (view: "chart" | "table") => void;
}) {
  const lines = useMemo<Line[]>(
    () => [
      { label: t.overview.lines.requests, color: "--ew-chart-1", values: rates.requests, format: rate },
      { label: t.overview.lines.hits, color: "--ew-chart-2", values: rates.hits, format: rate },
      { label: t.overview.lines.errors, color: "--ew-chart-3", values: rates.errors, format: rate },
    ],
    [rates],
  );
  return (
    <TimeSeries
      title={t.overview.traffic}
      x={rates.x}
      lines={lines}
      height={height}
      {...(view && { view })}
      {...(onView && { onView })}
    />
  );
}

/** Which window the numbers cover. */
export function RangeSwitch<R extends keyof typeof t.overview.ranges>({
  value,
  onChange,
}: {
  value: R;
  onChange: (range: R) => void;
}) {
  return (
    <SegmentedControl
      aria-label={t.overview.range}
      value={value}
      onChange={(next) => onChange(next as R)}
      data={Object.entries(t.overview.ranges).map(([range, label]) => ({ value: range, label }))}
    />
  );
}
