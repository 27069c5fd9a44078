import { t } from "./strings";

/** The API's bound (control/access). */
export const minPassword = 10;

export function emailProblem(value: string): string | null {
  return /^[^\s@]+@[^\s@]+$/.test(value.trim()) ? null : t.login.invalidEmail;
}

export function passwordProblem(value: string): string | null {
  return [...value].length < minPassword ? t.login.passwordShort : null;
}
