import { SegmentedControl } from "@mantine/core";
import { useState } from "react";
import { t } from "@/lib/strings";
import { CommandLine } from "@/ui/CommandLine";
import styles from "../domains.module.css";
import { type Server, servers } from "./peers";

/** What to write into the configuration of the name server on the other side. */
export function PeerConfig({
  title,
  text,
  note,
  block,
  label = t.zoneTransfers.peer.copy,
}: {
  title: string;
  text: string;
  note?: string;
  block: (server: Server) => string;
  label?: (server: string) => string;
}) {
  const [server, setServer] = useState<Server>("bind");
  const copy = t.zoneTransfers.peer;
  return (
    <section className="stack tight" aria-label={title}>
      <div className="row wrap">
        <h3 className={styles["subTitle"]}>{title}</h3>
        <SegmentedControl
          size="xs"
          aria-label={`${title}: ${copy.server}`}
          data={servers.map((value) => ({ value, label: copy.names[value] }))}
          value={server}
          onChange={(value) => setServer(value as Server)}
        />
      </div>
      <p className="soft">
        {text} {note}
      </p>
      <CommandLine command={block(server)} label={label(copy.names[server])} prompt={false} />
    </section>
  );
}
