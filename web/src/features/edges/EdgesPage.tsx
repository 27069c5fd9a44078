import { Button, Modal } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { isPlatformAdmin, useSession } from "@/app/session";
import { t } from "@/lib/strings";
import { ConfirmByTyping } from "@/ui/ConfirmByTyping";
import { EmptyState } from "@/ui/EmptyState";
import { FilterInput } from "@/ui/FilterInput";
import { Icon } from "@/ui/icons";
import { NoResults, PageState, SkeletonRows } from "@/ui/PageState";
import { PageHeader, Panel } from "@/ui/Panel";
import { toast } from "@/ui/UndoToast";
import { EdgeList } from "./components/EdgeList";
import { JoinEdge } from "./components/JoinEdge";
import { type Edge, edgesQuery, useDrain, useRevokeEdge } from "./queries";

const route = getRouteApi("/shell/edges");

export function EdgesPage() {
  const { q, sort, join } = route.useSearch();
  const navigate = route.useNavigate();
  const session = useSession();
  const query = useQuery(edgesQuery());
  const drain = useDrain();
  const [revoking, setRevoking] = useState<Edge | null>(null);
  const canManage = isPlatformAdmin(session);
  const shown = useMemo(() => {
    const wanted = (q ?? "").trim().toLowerCase();
    return (query.data?.edges ?? []).filter((e) =>
      [e.name, e.region, e.id].some((v) => v.toLowerCase().includes(wanted)),
    );
  }, [query.data, q]);
  const show = (next: { q?: string | undefined; sort?: string | undefined; join?: boolean }) => {
    const merged = { q, sort, ...next };
    void navigate({
      search: {
        ...(merged.q && { q: merged.q }),
        ...(merged.sort && { sort: merged.sort }),
        ...(merged.join && { join: true as const }),
      },
      replace: true,
    });
  };
  const joinButton = (
    <Button leftSection={<Icon name="plus" size={14} />} onClick={() => show({ join: true })} disabled={!canManage}>
      {t.edges.join}
    </Button>
  );
  return (
    <>
      <PageHeader
        title={t.edges.title}
        description={canManage ? t.edges.description : `${t.edges.description} ${t.edges.platformOnly}`}
        actions={joinButton}
      />
      <Panel flush>
        <PageState query={query} skeleton={<SkeletonRows rows={5} />}>
          {({ edges }) =>
            edges.length === 0 ? (
              <EmptyState icon="edges" level={2} title={t.edges.empty} action={joinButton}>
                {t.edges.emptyText}
              </EmptyState>
            ) : (
              <>
                <div className="row wrap" style={{ padding: "10px 12px" }}>
                  <FilterInput value={q} onChange={(next) => show({ q: next })} label={t.edges.filter} />
                  <span className="dim tnum" style={{ marginInlineStart: "auto", paddingInlineEnd: 4 }}>
                    {t.table.shown(shown.length, edges.length)}
                  </span>
                </div>
                {shown.length === 0 ? (
                  <NoResults onClear={() => show({ q: undefined })} />
                ) : (
                  <EdgeList
                    edges={shown}
                    sort={sort}
                    onSort={(next) => show({ sort: next })}
                    canManage={canManage}
                    platformRole={session.principal.platform_role}
                    onRevoke={setRevoking}
                    onDrain={(edge, draining) =>
                      drain.mutate(
                        { edge, draining },
                        {
                          onSuccess: () => toast(draining ? t.edges.drained(edge.name) : t.edges.undrained(edge.name)),
                          onError: (error) => toast(error.message, "bad"),
                        },
                      )
                    }
                  />
                )}
              </>
            )
          }
        </PageState>
      </Panel>
      <Modal opened={join === true && canManage} onClose={() => show({})} title={t.edges.joinTitle} size="lg">
        <JoinEdge />
      </Modal>
      <Revoke edge={revoking} onClose={() => setRevoking(null)} />
    </>
  );
}

function Revoke({ edge, onClose }: { edge: Edge | null; onClose: () => void }) {
  const revoke = useRevokeEdge();
  const name = edge?.name ?? "";
  return (
    <ConfirmByTyping
      opened={edge !== null}
      onClose={onClose}
      title={t.edges.revokeTitle(name)}
      name={name}
      confirmLabel={t.edges.revoke}
      pending={revoke.isPending}
      error={revoke.error}
      onConfirm={() =>
        edge &&
        revoke.mutate(edge, {
          onSuccess: () => {
            onClose();
            toast(t.edges.revoked(name));
          },
        })
      }
    >
      <p>{t.edges.revokeText}</p>
    </ConfirmByTyping>
  );
}
