import { useSession } from "@/app/session";
import { t } from "@/lib/strings";
import { Fields, Panel } from "@/ui/Panel";

export function AboutTab() {
  const session = useSession();
  const role = session.principal.platform_role;
  return (
    <div style={{ maxWidth: 640 }}>
      <Panel title={t.about.title}>
        <Fields
          rows={[
            [
              t.about.version,
              <span key="version" className="mono">
                {session.version}
              </span>,
            ],
            [
              t.about.platformDomain,
              session.platform_domain ? (
                <span key="domain" className="mono">
                  {session.platform_domain}
                </span>
              ) : (
                <span key="domain" className="dim">
                  {t.about.noDomain}
                </span>
              ),
            ],
            [
              t.about.principal,
              `${session.principal.name || session.principal.id}${role ? ` · ${t.settings.roles[role] ?? role}` : ""}`,
            ],
            [
              t.about.api,
              <span key="api" className="row wrap" style={{ gap: 16 }}>
                <a href="/docs">{t.about.docs}</a>
                <a href="/openapi.json">{t.about.openapi}</a>
                <a href="/third-party-licenses.md">{t.about.licences}</a>
              </span>,
            ],
          ]}
        />
      </Panel>
    </div>
  );
}
