import { Button } from "@mantine/core";
import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import { t } from "@/lib/strings";
import { EmptyState } from "@/ui/EmptyState";
import { Icon } from "@/ui/icons";

/** In place of a screen that threw. Navigation stays; the message is what a report needs. */
export function Crash({ error, reset }: ErrorComponentProps) {
  const message = error instanceof Error ? error.message : String(error);
  // A tab older than the binary asks for chunks that are gone: only a reload brings the new names.
  const chunk = /dynamically imported module|module script|preload/i.test(message);
  return (
    <div role="alert">
      <EmptyState
        icon="alert"
        title={t.errors.crash}
        level={1}
        action={
          <>
            {!chunk && (
              <Button variant="default" onClick={reset}>
                {t.common.retry}
              </Button>
            )}
            <Button onClick={() => window.location.reload()} leftSection={<Icon name="refresh" size={14} />}>
              {t.errors.reload}
            </Button>
          </>
        }
      >
        {t.errors.crashText}
        <br />
        <span className="mono">{message}</span>
      </EmptyState>
    </div>
  );
}

export function NotFound() {
  return (
    <EmptyState
      icon="search"
      title={t.errors.notFound}
      level={1}
      action={
        <Button variant="default" renderRoot={(props) => <Link {...props} to="/" />}>
          {t.errors.toOverview}
        </Button>
      }
    >
      {t.errors.notFoundText}
    </EmptyState>
  );
}
