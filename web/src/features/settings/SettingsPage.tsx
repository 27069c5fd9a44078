import { getRouteApi } from "@tanstack/react-router";
import { type SettingsTab, settingsTabs } from "@/app/router";
import { useScope } from "@/app/session";
import { t } from "@/lib/strings";
import { PageHeader } from "@/ui/Panel";
import { UrlTabs } from "@/ui/UrlTabs";
import { AboutTab } from "./components/AboutTab";
import { AccountTab } from "./components/AccountTab";
import { DNSProvidersTab } from "./components/DNSProvidersTab";
import { MembersTab } from "./components/MembersTab";
import { ProjectsTab } from "./components/ProjectsTab";
import { TokensTab } from "./components/TokensTab";
import { TrustTab } from "./components/TrustTab";

const route = getRouteApi("/shell/settings");

export function SettingsPage() {
  const { tab = "account" } = route.useSearch();
  const navigate = route.useNavigate();
  const scope = useScope();
  const panels: Record<SettingsTab, React.ReactNode> = {
    account: <AccountTab />,
    tokens: <TokensTab scope={scope} />,
    members: <MembersTab scope={scope} />,
    projects: <ProjectsTab scope={scope} />,
    dns: <DNSProvidersTab scope={scope} />,
    trust: <TrustTab />,
    about: <AboutTab />,
  };
  return (
    <>
      <PageHeader title={t.settings.title} />
      <UrlTabs
        label={t.settings.title}
        value={tab}
        onChange={(next) => void navigate({ search: { tab: next } })}
        names={settingsTabs}
        labels={t.settings.tabs}
      >
        {(name) => panels[name]}
      </UrlTabs>
    </>
  );
}
