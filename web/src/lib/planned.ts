import { useRef } from "react";
import { ifMatch } from "@/api/client";

/**
 * The precondition of a change that is planned first. What is applied is what was
 * looked at: the revision that the plan was made against holds until the next plan,
 * also when events have brought a newer one meanwhile.
 */
export function usePlanned(revision: number): (planning: boolean) => { "If-Match": string } {
  const planned = useRef<number | null>(null);
  return (planning) => {
    if (planning) planned.current = revision;
    return ifMatch(planned.current ?? revision);
  };
}
