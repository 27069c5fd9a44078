import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { type Held, heldQuery, useRelease } from "@/features/edges/queries";
import { t } from "@/lib/strings";
import { ConfirmByTyping } from "@/ui/ConfirmByTyping";
import { Notice } from "@/ui/Notice";
import { toast } from "@/ui/UndoToast";
import { isPlatformAdmin, type Session } from "./session";

/** On every screen of the platform's admins while a removal waits for consent: what would go, and the way to agree. */
export function HeldBack({ session }: { session: Session }) {
  const admin = isPlatformAdmin(session);
  const held = useQuery({ ...heldQuery(), enabled: admin });
  const [reviewing, setReviewing] = useState<Held | null>(null);
  if (!held.data?.length) return null;
  return (
    <div className="stack tight" style={{ marginBottom: 16 }}>
      {held.data.map((h) => (
        <Notice
          key={h.kind}
          tone="warn"
          alert
          title={t.held.title(h.keys.length, h.of, kindName(h))}
          action={
            <Button variant="default" onClick={() => setReviewing(h)}>
              {t.held.review}
            </Button>
          }
        >
          {t.held.text}
        </Notice>
      ))}
      <Release held={reviewing} onClose={() => setReviewing(null)} />
    </div>
  );
}

function kindName(held: Held): string {
  return t.held.kinds[held.kind] ?? held.kind;
}

const shown = 12;

function Release({ held, onClose }: { held: Held | null; onClose: () => void }) {
  const release = useRelease();
  const keys = held?.keys ?? [];
  return (
    <ConfirmByTyping
      opened={held !== null}
      onClose={onClose}
      title={held ? t.held.dialog(kindName(held)) : ""}
      name={t.held.phrase(keys.length)}
      confirmLabel={t.held.release}
      pending={release.isPending}
      error={release.error}
      onConfirm={() =>
        held &&
        release.mutate(held.kind, {
          onSuccess: (done) => {
            onClose();
            toast(t.held.released(done.released_count));
          },
        })
      }
    >
      <p>{t.held.consent}</p>
      <ul className="mono" style={{ paddingInlineStart: 18, overflowWrap: "anywhere" }}>
        {keys.slice(0, shown).map((key) => (
          <li key={key}>{key}</li>
        ))}
        {keys.length > shown && <li>{t.held.more(keys.length - shown)}</li>}
      </ul>
    </ConfirmByTyping>
  );
}
