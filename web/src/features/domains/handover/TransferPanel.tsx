import { Autocomplete, Button, Textarea } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { may, type Scope, useSession } from "@/app/session";
import { date } from "@/lib/format";
import { t } from "@/lib/strings";
import { useLanded } from "@/ui/forms";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { Fields, Panel } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import { TimeUntil } from "@/ui/Time";
import { toast } from "@/ui/UndoToast";
import type { Domain } from "../queries";
import { type TransferOffer, transfersQuery, useOfferTransfer, useWithdrawTransfer } from "../stateQueries";

/** The name of a project that the reader may see; of others, the ID. */
export function useProjectName(): (id: string) => string {
  const projects = useSession().projects ?? [];
  return (id) => {
    const found = projects.find((p) => p.id === id);
    return found ? found.title || found.name : id;
  };
}

/** Offers a domain to another project, and takes the offer back. */
export function TransferPanel({ scope, domain }: { scope: Scope; domain: Domain }) {
  const query = useQuery(transfersQuery(scope));
  const admin = may(scope, "admin");
  return (
    <Panel title={t.transfer.title}>
      <PageState query={query} skeleton={<SkeletonRows rows={2} />}>
        {(offers) => {
          const offer = offers.find((o) => o.direction === "outgoing" && o.domain === domain.domain);
          return offer ? (
            <Made scope={scope} offer={offer} admin={admin} />
          ) : (
            <OfferForm scope={scope} domain={domain} admin={admin} />
          );
        }}
      </PageState>
    </Panel>
  );
}

function Made({ scope, offer, admin }: { scope: Scope; offer: TransferOffer; admin: boolean }) {
  const withdraw = useWithdrawTransfer(scope);
  const projectName = useProjectName();
  return (
    <div className="stack">
      <Fields
        rows={[
          [t.transfer.offered, projectName(offer.to_project_id)],
          ...(offer.note ? [[t.transfer.note, offer.note] as [string, string]] : []),
          [
            t.transfer.until,
            <span key="until">
              {date(offer.expires_at)}{" "}
              <span className="dim">
                <TimeUntil at={offer.expires_at} />
              </span>
            </span>,
          ],
        ]}
      />
      <Refused error={withdraw.error} />
      <div>
        <Button
          variant="default"
          loading={withdraw.isPending}
          disabled={!admin}
          onClick={() => withdraw.mutate(offer, { onSuccess: () => toast(t.transfer.withdrawn) })}
        >
          {t.transfer.withdraw}
        </Button>
      </div>
    </div>
  );
}

function OfferForm({ scope, domain, admin }: { scope: Scope; domain: Domain; admin: boolean }) {
  const offer = useOfferTransfer(scope, domain.domain);
  const others = (useSession().projects ?? []).filter((p) => p.id !== scope.project.id).map((p) => p.name);
  const form = useForm({
    mode: "controlled",
    initialValues: { to: "", note: "" },
    validate: { to: (value) => (value.trim() === "" ? t.transfer.toNeeded : null) },
  });
  const landed = useLanded(form, offer.error, { "/to_project_id": "to" });
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit((values) =>
        offer.mutate(
          { to_project_id: values.to.trim(), ...(values.note ? { note: values.note } : {}) },
          {
            onSuccess: () => toast(t.transfer.made),
          },
        ),
      )}
    >
      <p className="soft">{t.transfer.text}</p>
      <Autocomplete
        label={t.transfer.to}
        description={t.transfer.toHint}
        data={others}
        disabled={!admin || domain.locked}
        autoCapitalize="off"
        spellCheck={false}
        {...form.getInputProps("to")}
      />
      <Textarea
        label={t.transfer.note}
        description={t.transfer.noteHint}
        rows={2}
        maxLength={500}
        disabled={!admin || domain.locked}
        {...form.getInputProps("note")}
      />
      <Refused {...landed} />
      <div className="row wrap">
        <Button type="submit" variant="default" loading={offer.isPending} disabled={!admin || domain.locked}>
          {t.transfer.offer}
        </Button>
        {domain.locked ? (
          <span className="dim">{t.lock.first}</span>
        ) : (
          !admin && <span className="dim">{t.transfer.admin}</span>
        )}
      </div>
    </form>
  );
}
