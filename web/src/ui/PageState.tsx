import { Button, Skeleton } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { ApiError } from "@/api/client";
import { t } from "@/lib/strings";
import { EmptyState } from "./EmptyState";
import { Icon } from "./icons";
import { Notice } from "./Notice";
import table from "./table.module.css";
import styles from "./ui.module.css";

/** Rows of the height that real ones will have. */
export function SkeletonRows({ rows = 5, label = t.common.loading }: { rows?: number; label?: string }) {
  return (
    <div aria-busy="true" role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: rows without identity that never move
        <div key={i} className={table["skeletonRow"]}>
          <Skeleton h={10} w={`${28 - (i % 3) * 5}%`} />
          <Skeleton h={10} w="14%" />
          <Skeleton h={10} w="10%" visibleFrom="sm" />
          <Skeleton h={10} w="18%" visibleFrom="md" ms="auto" />
        </div>
      ))}
    </div>
  );
}

/** A block of unknown shape that is on its way. */
export function SkeletonBlock({ height = 160 }: { height?: number }) {
  return (
    <div aria-busy="true" role="status" aria-label={t.common.loading}>
      <Skeleton h={height} radius="md" />
    </div>
  );
}

/** What went wrong, in the server's words, with the way to try again and what support needs to know. */
export function ErrorState({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const problem = error instanceof ApiError ? error.problem : undefined;
  return (
    <div className={styles["state"]} role="alert">
      <span className={styles["stateIcon"]} style={{ color: "var(--ew-bad)" }}>
        <Icon name="alert" size={20} />
      </span>
      <h2>{problem?.title ?? t.errors.title}</h2>
      <p>{error instanceof Error ? error.message : t.errors.unknown}</p>
      {problem?.request_id && (
        <p className="small">
          {t.errors.requestId} <span className="mono">{problem.request_id}</span>
        </p>
      )}
      {onRetry && (
        <div className={styles["stateActions"]}>
          <Button variant="default" onClick={onRetry} leftSection={<Icon name="refresh" size={14} />}>
            {t.common.retry}
          </Button>
        </div>
      )}
    </div>
  );
}

/**
 * The states of one query: a skeleton of the same shape while there is nothing,
 * the error with a way to retry, else the data. When a later refetch fails, the
 * data stays and a line says how old it is.
 */
export function PageState<T>({
  query,
  skeleton = <SkeletonRows />,
  children,
}: {
  query: Pick<UseQueryResult<T>, "data" | "error" | "refetch" | "isPending" | "dataUpdatedAt">;
  skeleton?: ReactNode;
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) {
    return (
      <>
        {query.error && (
          <div style={{ padding: 12 }}>
            <Notice
              tone="warn"
              title={t.errors.stale}
              action={
                <Button variant="default" onClick={() => void query.refetch()}>
                  {t.common.retry}
                </Button>
              }
            >
              {query.error.message}
            </Notice>
          </div>
        )}
        {children(query.data)}
      </>
    );
  }
  if (query.error) return <ErrorState error={query.error} onRetry={() => void query.refetch()} />;
  return <>{skeleton}</>;
}

/** A filter leaves nothing over. */
export function NoResults({ onClear }: { onClear: () => void }) {
  return (
    <EmptyState
      icon="search"
      level={2}
      title={t.table.noResults}
      action={
        <Button variant="default" onClick={onClear}>
          {t.table.clear}
        </Button>
      }
    >
      {t.table.noResultsText}
    </EmptyState>
  );
}
