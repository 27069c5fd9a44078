import { useMantineColorScheme } from "@mantine/core";
import { Spotlight, type SpotlightActionData, type SpotlightActionGroupData } from "@mantine/spotlight";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { type Domain, domainsQuery } from "@/features/domains/queries";
import { edgesQuery } from "@/features/edges/queries";
import { t } from "@/lib/strings";
import { Icon } from "@/ui/icons";
import { projectTitle } from "./ScopeSwitch";
import { pages, useSignOut } from "./Shell";
import { shortcutsHelp } from "./Shortcuts";
import { isPlatformAdmin, may, type Scope, type Session } from "./session";

const byName = (a: Domain, b: Domain) => (a.display || a.domain).localeCompare(b.display || b.domain);

/** An action, for those who may. */
function only(allowed: boolean, action: SpotlightActionData): SpotlightActionData[] {
  return allowed ? [action] : [];
}

/** Ctrl-K: every page, domain, edge, action and scope by a few letters of its name. */
export function CommandPalette({ session, scope }: { session: Session; scope: Scope }) {
  const [opened, setOpened] = useState(false);
  const navigate = useNavigate();
  const signOut = useSignOut();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  // What it lists is asked for when it is first opened; the screens share the answers.
  const domains = useQuery({ ...domainsQuery(scope), enabled: opened });
  const edges = useQuery({ ...edgesQuery(), enabled: opened });

  const groups: SpotlightActionGroupData[] = [
    {
      group: t.palette.pages,
      actions: pages.map((p) => ({
        id: `page ${p.to}`,
        label: p.label,
        leftSection: <Icon name={p.icon} />,
        onClick: () => void navigate({ to: p.to }),
      })),
    },
    {
      group: t.palette.actions,
      actions: [
        ...only(may(scope, "developer"), {
          id: "add-domain",
          label: t.palette.addDomain,
          leftSection: <Icon name="plus" />,
          onClick: () => void navigate({ to: "/domains/add" }),
        }),
        ...only(isPlatformAdmin(session), {
          id: "join-edge",
          label: t.palette.joinEdge,
          leftSection: <Icon name="edges" />,
          onClick: () => void navigate({ to: "/edges", search: { join: true } }),
        }),
        ...only(may(scope, "developer"), {
          id: "create-token",
          label: t.palette.createToken,
          leftSection: <Icon name="key" />,
          onClick: () => void navigate({ to: "/settings", search: { tab: "tokens" } }),
        }),
        {
          id: "dns-providers",
          label: t.providers.title,
          leftSection: <Icon name="globe" />,
          onClick: () => void navigate({ to: "/settings", search: { tab: "dns" } }),
        },
        ...(session.principal.platform_role
          ? (["authorities", "replacements"] as const).map((view) => ({
              id: view,
              label: t[view].title,
              leftSection: <Icon name="certificate" />,
              onClick: () => void navigate({ to: "/certificates", search: { view } }),
            }))
          : []),
        {
          id: "theme",
          label: t.palette.theme,
          leftSection: <Icon name="moon" />,
          onClick: () => setColorScheme(colorScheme === "dark" ? "light" : "dark"),
        },
        {
          id: "shortcuts",
          label: t.palette.shortcuts,
          leftSection: <Icon name="help" />,
          onClick: shortcutsHelp.open,
        },
        { id: "sign-out", label: t.palette.signOut, leftSection: <Icon name="signOut" />, onClick: signOut },
      ],
    },
    {
      group: t.palette.domains,
      actions: [...(domains.data?.domains ?? [])].sort(byName).map((d) => ({
        id: `domain ${d.domain}`,
        label: d.display || d.domain,
        description: d.origin ?? "",
        keywords: [d.domain, t.palette.openDomain],
        leftSection: <Icon name="globe" />,
        onClick: () => void navigate({ to: "/domains/$domain", params: { domain: d.domain } }),
      })),
    },
    {
      group: t.palette.edges,
      actions: (edges.data?.edges ?? []).map((e) => ({
        id: `edge ${e.id}`,
        label: e.name,
        description: e.region,
        keywords: [e.id, t.nav.edges],
        leftSection: <Icon name="edges" />,
        onClick: () => void navigate({ to: "/edges", search: { q: e.name } }),
      })),
    },
    {
      group: t.palette.scopes,
      actions: (session.projects ?? []).flatMap((p) =>
        (p.environments ?? [])
          .filter((environment) => p.id !== scope.project.id || environment !== scope.environment)
          .map((environment) => ({
            id: `scope ${p.id} ${environment}`,
            label: `${projectTitle(p)} / ${environment}`,
            leftSection: <Icon name="layers" />,
            onClick: () => void navigate({ to: "/", search: { project: p.name, environment } }),
          })),
      ),
    },
  ];
  return (
    <Spotlight
      actions={groups.filter((g) => g.actions.length > 0)}
      shortcut="mod + K"
      limit={40}
      scrollable
      maxHeight={420}
      nothingFound={t.palette.nothing}
      highlightQuery
      onSpotlightOpen={() => setOpened(true)}
      attributes={{ content: { "aria-label": t.palette.label } }}
      searchProps={{
        placeholder: t.palette.placeholder,
        "aria-label": t.palette.placeholder,
        leftSection: <Icon name="search" />,
      }}
    />
  );
}
