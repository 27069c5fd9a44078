import { Tabs } from "@mantine/core";
import { type ReactNode, useEffect, useRef } from "react";

/** Tabs whose choice lives with the caller, in the URL. Only the chosen one is built. */
export function UrlTabs<Name extends string>({
  label,
  value,
  onChange,
  names,
  labels,
  children,
}: {
  label: string;
  value: Name;
  onChange: (name: Name) => void;
  names: readonly Name[];
  labels: Record<Name, string>;
  children: (name: Name) => ReactNode;
}) {
  const list = useRef<HTMLDivElement>(null);
  // On a narrow screen the chosen tab may be beyond the edge of the bar.
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when another tab is chosen
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [value]);
  return (
    <Tabs
      value={value}
      onChange={(next) => {
        const name = names.find((n) => n === next);
        if (name) onChange(name);
      }}
    >
      <Tabs.List mb="md" ref={list} aria-label={label}>
        {names.map((name) => (
          <Tabs.Tab key={name} value={name}>
            {labels[name]}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      {names.map((name) => (
        <Tabs.Panel key={name} value={name}>
          {name === value && children(name)}
        </Tabs.Panel>
      ))}
    </Tabs>
  );
}
