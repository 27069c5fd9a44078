import { Progress } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type Schemas, sentence } from "@/api/client";
import type { Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { type Column, DataTable } from "@/ui/DataTable";
import { EmptyState } from "@/ui/EmptyState";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import type { Tone } from "@/ui/StatusBadge";
import styles from "../certificates.module.css";
import { scoreQuery } from "../queries";

type Score = Schemas["Score"];
type Deduction = Schemas["Deduction"];

const columns: Column<Deduction>[] = [
  {
    id: "what",
    header: t.score.columns.what,
    cell: (d) => (
      <>
        {sentence(d.what)}
        <div className="onlySm soft small">{sentence(d.fix)}</div>
      </>
    ),
  },
  { id: "cost", header: t.score.columns.cost, cell: (d) => <span className="nowrap">{d.cost}</span> },
  {
    id: "fix",
    header: t.score.columns.fix,
    hideBelow: "sm",
    cell: (d) => <span className="soft">{sentence(d.fix)}</span>,
  },
];

const parts = ["protocol", "key_exchange", "cipher"] as const;

export function gradeTone(grade: string): Tone {
  if (grade.startsWith("A")) return "ok";
  return grade === "B" || grade === "C" ? "warn" : "bad";
}

/** The grade, what it is made of, what is deducted and how to get it back. */
export function ScorePanel({ scope, domain }: { scope: Scope; domain: string }) {
  const query = useQuery(scoreQuery(scope, domain));
  return (
    <Panel title={t.score.title} window={<span className="hideSm">{t.score.window}</span>} flush>
      <PageState query={query} skeleton={<SkeletonRows rows={3} />}>
        {(answer) =>
          answer === null ? (
            <EmptyState icon="certificate" title={t.score.none}>
              {t.served.noneText}
            </EmptyState>
          ) : (
            <>
              <Grade score={answer.score} />
              <div style={{ borderTop: "1px solid var(--ew-border)" }}>
                {answer.score.deductions.length === 0 ? (
                  <p className="dim" style={{ padding: "10px 16px" }}>
                    {t.score.noDeductions}
                  </p>
                ) : (
                  <DataTable
                    label={t.score.deductions}
                    columns={columns}
                    rows={answer.score.deductions}
                    rowKey={(d) => d.what}
                  />
                )}
              </div>
              {answer.edges.length > 1 && (
                <p className={`dim ${styles["note"]}`}>
                  {t.score.edges}: {answer.edges.map((e) => `${e.region} ${e.grade}`).join(", ")}
                </p>
              )}
            </>
          )
        }
      </PageState>
    </Panel>
  );
}

function Grade({ score }: { score: Score }) {
  const tone = gradeTone(score.grade);
  return (
    <div className={styles["score"]}>
      <div>
        <div
          className={styles["grade"]}
          style={{ color: `var(--ew-${tone})`, background: `var(--ew-${tone}-soft)` }}
          role="img"
          aria-label={t.score.grade(score.grade)}
        >
          {score.grade}
        </div>
        <div className="tnum" style={{ marginTop: 4 }}>
          {t.score.number(score.number)}
        </div>
      </div>
      <div className="stack tight grow">
        {(t.score.grades[score.grade] || score.grade_ignoring_trust) && (
          <p className="soft">
            {[
              t.score.grades[score.grade],
              score.grade_ignoring_trust && t.score.ignoringTrust(score.grade_ignoring_trust),
            ]
              .filter(Boolean)
              .join(": ")}
          </p>
        )}
        {parts.map((part) => (
          <div key={part} className={styles["scorePart"]}>
            <span>{t.score.parts[part]}</span>
            <Progress value={score[part]} size="sm" aria-label={t.score.parts[part]} />
            <span className="tnum">{score[part]}</span>
          </div>
        ))}
      </div>
    </div>
  );
}
