import { type Schemas, sentence } from "@/api/client";
import { t } from "@/lib/strings";
import styles from "../domains.module.css";

/** What each resolver and name server answers now. `marked` says which answers are as they shall be. */
export function Seen({
  label,
  seen,
  marked,
}: {
  label: string;
  seen: Schemas["ResolverAnswer"][];
  marked?: (answers: string[]) => boolean;
}) {
  return (
    <div className={styles["seen"]}>
      <table aria-label={label}>
        <caption className={styles["recordLabel"]} style={{ textAlign: "start", paddingBottom: 2 }}>
          {t.records.seen}
        </caption>
        <tbody>
          {seen.length === 0 && (
            <tr>
              <td className="dim">{t.records.notAsked}</td>
            </tr>
          )}
          {seen.map((one) => (
            <tr key={one.resolver}>
              <th scope="row">
                <span className="mono">{one.resolver}</span>
                {one.authoritative && <div className={styles["seenRole"]}>{t.records.authoritative}</div>}
              </th>
              <td>
                {one.answers.length > 0 ? (
                  one.answers.map((answer) => (
                    <div key={answer} className="mono">
                      {answer}
                    </div>
                  ))
                ) : (
                  <span className="dim">{one.error ? sentence(one.error) : t.records.noAnswer}</span>
                )}
              </td>
              {marked && (
                <td className={styles["seenMark"]}>
                  {one.answers.length > 0 && (marked(one.answers) ? t.records.asWanted : t.records.other)}
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
