import { Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo } from "react";
import { certificateViews } from "@/app/router";
import { useScope, useSession } from "@/app/session";
import { readable } from "@/lib/idn";
import { certificateState } from "@/lib/status";
import { t } from "@/lib/strings";
import { EmptyState } from "@/ui/EmptyState";
import { FilterInput } from "@/ui/FilterInput";
import { NoResults, PageState, SkeletonRows } from "@/ui/PageState";
import { PageHeader, Panel } from "@/ui/Panel";
import { UrlTabs } from "@/ui/UrlTabs";
import { AuthoritiesTab } from "./authorities/AuthoritiesTab";
import { SSLCertificates } from "./components/SSLCertificates";
import { type Certificate, certificatesQuery } from "./queries";
import { ReplacementsTab } from "./replacements/ReplacementsTab";

const route = getRouteApi("/shell/certificates");

function matches(c: Certificate, text: string): boolean {
  const wanted = text.trim().toLowerCase();
  const names = [...c.names, ...c.domains];
  return [...names, ...names.map(readable), c.issuer ?? "", c.fingerprint ?? ""].some((v) =>
    v.toLowerCase().includes(wanted),
  );
}

/** The certificates of a project; for who has a role on the platform, also where they come from. */
export function CertificatesPage() {
  const { view = "list" } = route.useSearch();
  const navigate = route.useNavigate();
  const role = useSession().principal.platform_role ?? "";
  const admin = ["admin", "owner"].includes(role);
  const header = <PageHeader title={t.certificates.title} description={t.certificates.description} />;
  if (role === "") {
    return (
      <>
        {header}
        <List />
      </>
    );
  }
  const panels = {
    list: () => <List />,
    authorities: () => <AuthoritiesTab admin={admin} />,
    replacements: () => <ReplacementsTab admin={admin} />,
  };
  return (
    <>
      {header}
      <UrlTabs
        label={t.certificates.title}
        value={view}
        onChange={(next) => void navigate({ search: next === "list" ? {} : { view: next } })}
        names={certificateViews}
        labels={t.certificates.tabs}
      >
        {(name) => panels[name]()}
      </UrlTabs>
    </>
  );
}

function List() {
  const scope = useScope();
  const { q, state, sort } = route.useSearch();
  const navigate = route.useNavigate();
  const query = useQuery(certificatesQuery(scope));
  const shown = useMemo(
    () => (query.data ?? []).filter((c) => (!state || c.state === state) && (!q || matches(c, q))),
    [query.data, q, state],
  );
  const show = (next: { q?: string | undefined; state?: string | undefined; sort?: string | undefined }) => {
    const merged = { q, state, sort, ...next };
    void navigate({
      search: {
        ...(merged.q && { q: merged.q }),
        ...(merged.state && { state: merged.state }),
        ...(merged.sort && { sort: merged.sort }),
      },
      replace: true,
    });
  };
  return (
    <Panel flush>
      <PageState query={query} skeleton={<SkeletonRows rows={6} />}>
        {(all) =>
          all.length === 0 ? (
            <EmptyState icon="certificate" level={2} title={t.certificates.empty}>
              {t.certificates.emptyText}
            </EmptyState>
          ) : (
            <>
              <div className="row wrap" style={{ padding: "10px 12px" }}>
                <FilterInput value={q} onChange={(next) => show({ q: next })} label={t.certificates.filter} />
                <Select
                  size="xs"
                  w={170}
                  aria-label={t.certificates.state}
                  data={statesOf(all, state)}
                  value={state ?? ""}
                  onChange={(next) => show({ state: next || undefined })}
                  allowDeselect={false}
                />
                <span className="dim tnum" style={{ marginInlineStart: "auto", paddingInlineEnd: 4 }}>
                  {t.table.shown(shown.length, all.length)}
                </span>
              </div>
              {shown.length === 0 ? (
                <NoResults onClear={() => show({ q: undefined, state: undefined })} />
              ) : (
                <SSLCertificates certificates={shown} sort={sort} onSort={(next) => show({ sort: next })} />
              )}
            </>
          )
        }
      </PageState>
    </Panel>
  );
}

/** The states that there are, with how many certificates are in each; the chosen one stays. */
function statesOf(all: Certificate[], chosen: string | undefined) {
  const counts = new Map<string, number>(chosen ? [[chosen, 0]] : []);
  for (const c of all) counts.set(c.state, (counts.get(c.state) ?? 0) + 1);
  return [
    { value: "", label: t.certificates.allStates },
    ...[...counts].map(([value, n]) => ({ value, label: t.certificates.inState(certificateState(value).label, n) })),
  ];
}
