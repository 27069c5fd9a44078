import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { t } from "@/lib/strings";
import { DiffReview, type Plan } from "./DiffReview";
import { Notice } from "./Notice";

/**
 * The way of every change of what edges do: edit, see the difference, apply,
 * watch the roll-out. `plan` asks the API what would change; `apply` changes it
 * and answers with the revision.
 */
export function ChangeFlow<Draft>({
  environment,
  plan,
  apply,
  form,
  done,
}: {
  environment: string;
  plan: (draft: Draft) => Promise<Plan>;
  apply: (draft: Draft, reason: string) => Promise<number>;
  form: (state: {
    review: (draft: Draft) => void;
    planning: boolean;
    error: Error | null;
    draft: Draft | null;
  }) => ReactNode;
  done: (revision: number, again: () => void) => ReactNode;
}) {
  const [draft, setDraft] = useState<Draft | null>(null);
  const planning = useMutation({ mutationFn: plan });
  const applying = useMutation({
    mutationFn: (input: { draft: Draft; reason: string }) => apply(input.draft, input.reason),
  });

  if (applying.data !== undefined) {
    return (
      <div className="stack">
        <Notice tone="ok">{t.origin.applied}</Notice>
        {done(applying.data, () => {
          setDraft(null);
          planning.reset();
          applying.reset();
        })}
      </div>
    );
  }
  if (planning.data && draft !== null) {
    return (
      <DiffReview
        plan={planning.data}
        environment={environment}
        applying={applying.isPending}
        error={applying.error}
        onApply={(reason) => applying.mutate({ draft, reason })}
        onBack={() => {
          planning.reset();
          applying.reset();
        }}
      />
    );
  }
  return form({
    planning: planning.isPending,
    error: planning.error,
    draft,
    review: (next) => {
      setDraft(next);
      planning.mutate(next);
    },
  });
}
