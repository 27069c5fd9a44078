import { Menu } from "@mantine/core";
import { Link, useNavigate } from "@tanstack/react-router";
import { t } from "@/lib/strings";
import { Icon } from "@/ui/icons";
import type { ProjectAccess, Scope, Session } from "./session";
import styles from "./shell.module.css";

/** An environment's name on its badge. Production has a shape and a colour of its own. */
export function EnvironmentBadge({ name }: { name: string }) {
  return (
    <span
      className={`${styles["environment"]} ${name === "production" ? styles["production"] : ""}`}
      title={name === "production" ? t.scope.production : undefined}
    >
      {name}
    </span>
  );
}

export function projectTitle(project: ProjectAccess): string {
  return project.title || project.name;
}

/** Always on screen: which project and which environment everything below is about. */
export function ScopeSwitch({ session, scope }: { session: Session; scope: Scope }) {
  const navigate = useNavigate();
  const change = (project: string, environment: string) => navigate({ to: "/", search: { project, environment } });
  const projects = session.projects ?? [];
  return (
    <div className="row tight">
      <Menu position="bottom-start" width={240}>
        <Menu.Target>
          <button
            type="button"
            className={styles["switch"]}
            aria-label={`${t.scope.project}: ${projectTitle(scope.project)}`}
          >
            <span className="truncate">{projectTitle(scope.project)}</span>
            <Icon name="chevronDown" size={13} />
          </button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>{t.scope.project}</Menu.Label>
          {projects.map((project) => (
            <Menu.Item
              key={project.id}
              onClick={() => void change(project.name, (project.environments ?? [])[0] ?? "production")}
              rightSection={project.id === scope.project.id ? <Icon name="check" size={14} /> : undefined}
            >
              {projectTitle(project)}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item
            renderRoot={(props) => <Link {...props} to="/settings" search={{ tab: "projects" }} />}
            leftSection={<Icon name="layers" size={14} />}
          >
            {t.scope.manage}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <span className={styles["slash"]} aria-hidden="true">
        /
      </span>
      <Menu position="bottom-start" width={200}>
        <Menu.Target>
          <button
            type="button"
            className={styles["switch"]}
            aria-label={`${t.scope.environment}: ${scope.environment}`}
          >
            <EnvironmentBadge name={scope.environment} />
            <Icon name="chevronDown" size={13} />
          </button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>{t.scope.environment}</Menu.Label>
          {(scope.project.environments ?? []).map((environment) => (
            <Menu.Item
              key={environment}
              onClick={() => void change(scope.project.name, environment)}
              rightSection={environment === scope.environment ? <Icon name="check" size={14} /> : undefined}
            >
              <EnvironmentBadge name={environment} />
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
    </div>
  );
}
