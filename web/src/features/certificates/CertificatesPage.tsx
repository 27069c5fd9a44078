import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo } from "react";
import { useScope } from "@/app/session";
import { t } from "@/lib/strings";
import { EmptyState } from "@/ui/EmptyState";
import { FilterInput } from "@/ui/FilterInput";
import { NoResults, PageState, SkeletonRows } from "@/ui/PageState";
import { PageHeader, Panel } from "@/ui/Panel";
import { SSLCertificates } from "./components/SSLCertificates";
import { type Certificate, certificatesQuery } from "./queries";

const route = getRouteApi("/shell/certificates");

function matches(c: Certificate, text: string): boolean {
  const wanted = text.trim().toLowerCase();
  return [...c.names, ...c.domains, c.issuer ?? "", c.fingerprint ?? ""].some((v) => v.toLowerCase().includes(wanted));
}

export function CertificatesPage() {
  const scope = useScope();
  const { q, sort } = route.useSearch();
  const navigate = route.useNavigate();
  const query = useQuery(certificatesQuery(scope));
  const shown = useMemo(() => (query.data ?? []).filter((c) => !q || matches(c, q)), [query.data, q]);
  const show = (next: { q?: string | undefined; sort?: string | undefined }) => {
    const merged = { q, sort, ...next };
    void navigate({
      search: { ...(merged.q && { q: merged.q }), ...(merged.sort && { sort: merged.sort }) },
      replace: true,
    });
  };
  return (
    <>
      <PageHeader title={t.certificates.title} description={t.certificates.description} />
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
                  <span className="dim tnum" style={{ marginInlineStart: "auto", paddingInlineEnd: 4 }}>
                    {t.table.shown(shown.length, all.length)}
                  </span>
                </div>
                {shown.length === 0 ? (
                  <NoResults onClear={() => show({ q: undefined })} />
                ) : (
                  <SSLCertificates certificates={shown} sort={sort} onSort={(next) => show({ sort: next })} />
                )}
              </>
            )
          }
        </PageState>
      </Panel>
    </>
  );
}
