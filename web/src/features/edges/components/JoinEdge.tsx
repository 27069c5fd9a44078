import { Button, Select, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { t } from "@/lib/strings";
import { CommandLine } from "@/ui/CommandLine";
import { ReviewEnd } from "@/ui/FormEnd";
import { useLanded } from "@/ui/forms";
import { StatusBadge } from "@/ui/StatusBadge";
import { TimeUntil } from "@/ui/Time";
import { edgesQuery, useJoinToken } from "../queries";

/** Makes the one command that brings a machine into the fleet, and waits for it to appear. */
export function JoinEdge() {
  const make = useJoinToken();
  const edges = useQuery(edgesQuery());
  // Who was there before: whoever comes after has joined with this command (or another of this minute).
  const [before, setBefore] = useState<ReadonlySet<string> | null>(null);
  const form = useForm({
    mode: "uncontrolled",
    initialValues: { region: "", ttl: "3600" },
    validate: { region: (value) => (/^[a-zA-Z0-9-]*$/.test(value.trim()) ? null : t.edges.regionRule) },
  });
  const landed = useLanded(form, make.error, { "/ttl_seconds": "ttl" });
  const joined = before && (edges.data?.edges ?? []).find((e) => !before.has(e.id));

  if (make.data) {
    return (
      <div className="stack">
        <div className="stack tight">
          <span className="soft">{t.edges.joinCommand}</span>
          <CommandLine command={make.data.command} label={t.copy.value(t.edges.joinTitle)} />
          <span className="dim small">
            {t.edges.joinExpires} <TimeUntil at={make.data.expires_at} />.
          </span>
        </div>
        <div role="status">
          {joined ? (
            <StatusBadge tone="ok">{t.edges.joinedNow(joined.name)}</StatusBadge>
          ) : (
            <StatusBadge tone="info">{t.edges.joinWaiting}</StatusBadge>
          )}
        </div>
        {joined && (
          <div>
            <Button variant="default" onClick={() => make.reset()}>
              {t.edges.joinAgain}
            </Button>
          </div>
        )}
      </div>
    );
  }
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit(({ region, ttl }) => {
        setBefore(new Set((edges.data?.edges ?? []).map((e) => e.id)));
        make.mutate({ ttl_seconds: Number(ttl), ...(region.trim() ? { region: region.trim() } : {}) });
      })}
    >
      <p className="soft">{t.edges.joinText}</p>
      <TextInput
        label={`${t.edges.joinRegion} (${t.login.optional})`}
        description={t.edges.joinRegionHint}
        data-autofocus
        spellCheck={false}
        key={form.key("region")}
        {...form.getInputProps("region")}
      />
      <Select
        label={t.edges.joinTtl}
        data={Object.entries(t.edges.ttls).map(([value, label]) => ({ value, label }))}
        key={form.key("ttl")}
        {...form.getInputProps("ttl")}
      />
      <ReviewEnd {...landed} pending={make.isPending} label={t.edges.joinCreate} />
    </form>
  );
}
