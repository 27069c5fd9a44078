import { Button, Modal, Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { EnvironmentBadge } from "@/app/ScopeSwitch";
import { may, type Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { ChangeFlow } from "@/ui/ChangeFlow";
import { type Column, DataTable } from "@/ui/DataTable";
import { ReviewEnd } from "@/ui/FormEnd";
import { Panel } from "@/ui/Panel";
import { Refused } from "@/ui/Refused";
import { TimeUntil } from "@/ui/Time";
import { toast } from "@/ui/UndoToast";
import { Applied } from "../components/Applied";
import { cdnsQuery } from "../queries";
import {
  type TransferOffer,
  transfersQuery,
  useAcceptTransfer,
  usePlanAccept,
  useWithdrawTransfer,
} from "../stateQueries";
import { useProjectName } from "./TransferPanel";

/** Domains that other projects want to hand over: there only while there are some. */
export function IncomingTransfers({ scope }: { scope: Scope }) {
  const query = useQuery(transfersQuery(scope));
  const projectName = useProjectName();
  const [accepting, setAccepting] = useState<TransferOffer | null>(null);
  const [declining, setDeclining] = useState<TransferOffer | null>(null);
  const admin = may(scope, "admin");
  const incoming = (query.data ?? []).filter((o) => o.direction === "incoming");
  const columns: Column<TransferOffer>[] = [
    {
      id: "domain",
      header: t.transfer.columns.domain,
      cell: (o) => <span style={{ fontWeight: 500 }}>{o.display || o.domain}</span>,
    },
    {
      id: "from",
      header: t.transfer.columns.from,
      hideBelow: "sm",
      cell: (o) => <span className="soft">{projectName(o.from_project_id)}</span>,
    },
    {
      id: "note",
      header: t.transfer.columns.note,
      hideBelow: "md",
      cell: (o) => <span className="soft">{o.note}</span>,
    },
    {
      id: "until",
      header: t.transfer.columns.until,
      align: "right",
      hideBelow: "sm",
      cell: (o) => <TimeUntil at={o.expires_at} />,
    },
    {
      id: "actions",
      header: t.transfer.columns.actions,
      align: "right",
      cell: (o) => (
        <span className="row tight" style={{ justifyContent: "flex-end" }}>
          <Button
            size="compact-xs"
            disabled={!admin}
            onClick={() => setAccepting(o)}
            aria-label={t.transfer.acceptTitle(o.display || o.domain)}
          >
            {t.transfer.accept}
          </Button>
          <Button
            size="compact-xs"
            variant="default"
            disabled={!admin}
            onClick={() => setDeclining(o)}
            aria-label={t.transfer.declineTitle(o.display || o.domain)}
          >
            {t.transfer.decline}
          </Button>
        </span>
      ),
    },
  ];
  return (
    <>
      {incoming.length > 0 && (
        <div style={{ marginBottom: 16 }}>
          <Panel title={t.transfer.incoming} window={<span className="hideSm">{t.transfer.incomingWindow}</span>} flush>
            <DataTable label={t.transfer.incoming} columns={columns} rows={incoming} rowKey={(o) => o.id} />
          </Panel>
        </div>
      )}
      <Modal
        size="lg"
        opened={accepting !== null}
        onClose={() => setAccepting(null)}
        title={accepting ? t.transfer.acceptTitle(accepting.display || accepting.domain) : ""}
      >
        {accepting && <Accept scope={scope} offer={accepting} />}
      </Modal>
      <Modal
        opened={declining !== null}
        onClose={() => setDeclining(null)}
        title={declining ? t.transfer.declineTitle(declining.display || declining.domain) : ""}
      >
        {declining && <Decline scope={scope} offer={declining} onClose={() => setDeclining(null)} />}
      </Modal>
    </>
  );
}

function Accept({ scope, offer }: { scope: Scope; offer: TransferOffer }) {
  const plan = usePlanAccept(scope, offer);
  const accept = useAcceptTransfer(scope, offer);
  return (
    <ChangeFlow<string>
      environment={scope.environment}
      plan={(cdn) => plan.mutateAsync(cdn)}
      apply={async (cdn, reason) => (await accept.mutateAsync({ cdn, reason })).revision}
      done={(revision, again) => (
        <div className="stack">
          <Applied scope={scope} revision={revision} onAgain={again} />
          <Link to="/domains/$domain" params={{ domain: offer.domain }}>
            {t.transfer.goto}
          </Link>
        </div>
      )}
      form={({ review, planning, error, draft }) => (
        <AcceptForm scope={scope} draft={draft} planning={planning} error={error} onReview={review} />
      )}
    />
  );
}

function AcceptForm({
  scope,
  draft,
  planning,
  error,
  onReview,
}: {
  scope: Scope;
  draft: string | null;
  planning: boolean;
  error: Error | null;
  onReview: (cdn: string) => void;
}) {
  const cdns = useQuery(cdnsQuery(scope));
  const [cdn, setCdn] = useState(draft ?? "");
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        onReview(cdn);
      }}
    >
      <p className="row wrap">
        {t.transfer.environment} <EnvironmentBadge name={scope.environment} />
      </p>
      <Select
        label={t.transfer.cdn}
        description={t.transfer.cdnHint}
        data={[
          { value: "", label: t.transfer.cdnCopy },
          ...(cdns.data ?? []).map((c) => ({ value: c.name, label: c.name })),
        ]}
        value={cdn}
        onChange={(value) => setCdn(value ?? "")}
        data-autofocus
      />
      <ReviewEnd error={error} pending={planning} label={t.transfer.review} />
    </form>
  );
}

function Decline({ scope, offer, onClose }: { scope: Scope; offer: TransferOffer; onClose: () => void }) {
  const decline = useWithdrawTransfer(scope);
  return (
    <div className="stack">
      <p>{t.transfer.declineText}</p>
      <Refused error={decline.error} />
      <div className="row" style={{ justifyContent: "flex-end" }}>
        <Button variant="default" onClick={onClose} disabled={decline.isPending}>
          {t.common.cancel}
        </Button>
        <Button
          color="red"
          loading={decline.isPending}
          data-autofocus
          onClick={() =>
            decline.mutate(offer, {
              onSuccess: () => {
                toast(t.transfer.declined(offer.display || offer.domain));
                onClose();
              },
            })
          }
        >
          {t.transfer.decline}
        </Button>
      </div>
    </div>
  );
}
