import { ActionIcon, Button, Menu, Modal, Textarea, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { EnvironmentBadge } from "@/app/ScopeSwitch";
import { isPlatformAdmin, type Scope, useSession } from "@/app/session";
import { t } from "@/lib/strings";
import { ConfirmByTyping } from "@/ui/ConfirmByTyping";
import { FormEnd } from "@/ui/FormEnd";
import { useLanded } from "@/ui/forms";
import { Icon } from "@/ui/icons";
import { PageState } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { toast } from "@/ui/UndoToast";
import {
  type Environment,
  environmentsQuery,
  type Project,
  projectsQuery,
  useCreateEnvironment,
  useCreateProject,
  useDeleteEnvironment,
  useDeleteProject,
  useUpdateProject,
} from "../queries";

type Dialog =
  | { kind: "create" }
  | { kind: "edit" | "environment" | "delete"; project: Project }
  | { kind: "deleteEnvironment"; project: Project; environment: Environment }
  | null;

const nameRule = /^[a-z][a-z0-9-]*$/;

function titleOf(project: Project): string {
  return project.title || project.name;
}

export function ProjectsTab({ scope }: { scope: Scope }) {
  const query = useQuery(projectsQuery());
  const [dialog, setDialog] = useState<Dialog>(null);
  const close = () => setDialog(null);
  const canCreate = isPlatformAdmin(useSession());
  return (
    <>
      <div className="stack">
        <div className="row between wrap">
          <span className="dim">{!canCreate && t.projects.platformOnly}</span>
          <Button
            leftSection={<Icon name="plus" size={14} />}
            disabled={!canCreate}
            onClick={() => setDialog({ kind: "create" })}
          >
            {t.projects.create}
          </Button>
        </div>
        <PageState query={query}>
          {(projects) => (
            <div className="stack">
              {projects.map((project) => (
                <ProjectPanel
                  key={project.id}
                  project={project}
                  current={project.id === scope.project.id ? scope.environment : null}
                  onDialog={setDialog}
                />
              ))}
            </div>
          )}
        </PageState>
      </div>
      <Modal opened={dialog?.kind === "create"} onClose={close} title={t.projects.createTitle}>
        <ProjectForm onDone={close} />
      </Modal>
      <Modal
        opened={dialog?.kind === "edit"}
        onClose={close}
        title={dialog?.kind === "edit" ? titleOf(dialog.project) : ""}
      >
        {dialog?.kind === "edit" && <ProjectForm project={dialog.project} onDone={close} />}
      </Modal>
      <Modal opened={dialog?.kind === "environment"} onClose={close} title={t.projects.addEnvironment}>
        {dialog?.kind === "environment" && <EnvironmentForm project={dialog.project} onDone={close} />}
      </Modal>
      {dialog?.kind === "delete" && <DeleteProject project={dialog.project} onClose={close} />}
      {dialog?.kind === "deleteEnvironment" && (
        <DeleteEnvironment project={dialog.project} environment={dialog.environment} onClose={close} />
      )}
    </>
  );
}

function ProjectPanel({
  project,
  current,
  onDialog,
}: {
  project: Project;
  current: string | null;
  onDialog: (dialog: Dialog) => void;
}) {
  const environments = useQuery(environmentsQuery(project.id));
  const admin = project.role === "admin" || project.role === "owner";
  return (
    <Panel
      title={titleOf(project)}
      id={`project-${project.id}`}
      window={`${t.projects.role}: ${t.settings.roles[project.role] ?? project.role}`}
      actions={
        admin && (
          <Menu position="bottom-end" width={190}>
            <Menu.Target>
              <ActionIcon size={28} aria-label={`${t.common.more}: ${titleOf(project)}`}>
                <Icon name="more" size={18} />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item onClick={() => onDialog({ kind: "edit", project })}>{t.projects.edit}</Menu.Item>
              <Menu.Item onClick={() => onDialog({ kind: "environment", project })}>
                {t.projects.addEnvironment}
              </Menu.Item>
              {project.role === "owner" && (
                <Menu.Item color="red" onClick={() => onDialog({ kind: "delete", project })}>
                  {t.projects.deleteProject}
                </Menu.Item>
              )}
            </Menu.Dropdown>
          </Menu>
        )
      }
    >
      <div className="stack tight">
        <p className="dim">
          <span className="mono">{project.name}</span>
          {project.description && ` · ${project.description}`}
        </p>
        <PageState query={environments}>
          {(list) => (
            <ul className="stack tight" style={{ listStyle: "none", padding: 0 }} aria-label={t.projects.environments}>
              {list.map((environment) => (
                <li key={environment.id} className="row between">
                  <span className="row">
                    <EnvironmentBadge name={environment.name} />
                    {environment.name === current ? (
                      <span className="dim">{t.projects.here}</span>
                    ) : (
                      <Link to="/" search={{ project: project.name, environment: environment.name }}>
                        {t.projects.open}
                      </Link>
                    )}
                  </span>
                  {admin && list.length > 1 && (
                    <ActionIcon
                      size={26}
                      aria-label={t.projects.deleteEnvironmentTitle(environment.name)}
                      onClick={() => onDialog({ kind: "deleteEnvironment", project, environment })}
                    >
                      <Icon name="purge" size={15} />
                    </ActionIcon>
                  )}
                </li>
              ))}
            </ul>
          )}
        </PageState>
      </div>
    </Panel>
  );
}

function ProjectForm({ project, onDone }: { project?: Project; onDone: () => void }) {
  const create = useCreateProject();
  const update = useUpdateProject();
  const form = useForm({
    mode: "uncontrolled",
    initialValues: { name: project?.name ?? "", title: project?.title ?? "", description: project?.description ?? "" },
    validateInputOnBlur: ["name"],
    validate: { name: (value) => (nameRule.test(value) ? null : t.projects.nameRule) },
  });
  const landed = useLanded(form, create.error ?? update.error);
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit(({ name, title, description }) => {
        if (project) {
          update.mutate(
            { project, title, description },
            {
              onSuccess: () => {
                onDone();
                toast(t.projects.saved(title || name));
              },
            },
          );
        } else {
          create.mutate(
            { name, ...(title ? { title } : {}), ...(description ? { description } : {}) },
            {
              onSuccess: () => {
                onDone();
                toast(t.projects.created(title || name));
              },
            },
          );
        }
      })}
    >
      <TextInput
        label={t.projects.name}
        description={t.projects.nameHint}
        disabled={project !== undefined}
        data-autofocus
        key={form.key("name")}
        {...form.getInputProps("name")}
      />
      <TextInput
        label={`${t.projects.displayName} (${t.login.optional})`}
        key={form.key("title")}
        {...form.getInputProps("title")}
      />
      <Textarea
        label={`${t.projects.description} (${t.login.optional})`}
        rows={2}
        key={form.key("description")}
        {...form.getInputProps("description")}
      />
      <FormEnd
        {...landed}
        pending={create.isPending || update.isPending}
        onCancel={onDone}
        label={project ? t.projects.save : t.common.create}
      />
    </form>
  );
}

function EnvironmentForm({ project, onDone }: { project: Project; onDone: () => void }) {
  const create = useCreateEnvironment(project.id);
  const form = useForm({
    mode: "uncontrolled",
    initialValues: { name: "" },
    validate: { name: (value) => (nameRule.test(value) ? null : t.projects.nameRule) },
  });
  const landed = useLanded(form, create.error);
  return (
    <form
      className="stack"
      noValidate
      onSubmit={form.onSubmit(({ name }) =>
        create.mutate(name, {
          onSuccess: () => {
            onDone();
            toast(t.projects.created(name));
          },
        }),
      )}
    >
      <TextInput
        label={t.projects.environmentName}
        description={t.projects.environmentHint}
        data-autofocus
        key={form.key("name")}
        {...form.getInputProps("name")}
      />
      <FormEnd {...landed} pending={create.isPending} onCancel={onDone} label={t.common.add} />
    </form>
  );
}

function DeleteProject({ project, onClose }: { project: Project; onClose: () => void }) {
  const remove = useDeleteProject();
  return (
    <ConfirmByTyping
      opened
      onClose={onClose}
      title={t.projects.deleteProjectTitle(titleOf(project))}
      name={project.name}
      confirmLabel={t.projects.deleteProject}
      pending={remove.isPending}
      error={remove.error}
      onConfirm={() =>
        remove.mutate(project, {
          onSuccess: () => {
            onClose();
            toast(t.projects.deleted(titleOf(project)));
          },
        })
      }
    >
      <p>{t.projects.deleteProjectText}</p>
    </ConfirmByTyping>
  );
}

function DeleteEnvironment({
  project,
  environment,
  onClose,
}: {
  project: Project;
  environment: Environment;
  onClose: () => void;
}) {
  const remove = useDeleteEnvironment(project.id);
  return (
    <ConfirmByTyping
      opened
      onClose={onClose}
      title={t.projects.deleteEnvironmentTitle(environment.name)}
      name={environment.name}
      confirmLabel={t.projects.deleteEnvironment}
      pending={remove.isPending}
      error={remove.error}
      onConfirm={() =>
        remove.mutate(environment, {
          onSuccess: () => {
            onClose();
            toast(t.projects.deleted(environment.name));
          },
        })
      }
    >
      <p>{t.projects.deleteEnvironmentText}</p>
    </ConfirmByTyping>
  );
}
