import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it } from "vitest";
import { type Asked, fakeAPI, problem } from "@/test/api";
import { show } from "@/test/render";
import { type Authority, reordered } from "../authorityQueries";
import { AuthoritiesTab } from "./AuthoritiesTab";

const authority = (name: string, over: Partial<Authority> = {}): Authority => ({
  name,
  id: `ca_${name}`,
  directory: `https://${name}.example/directory`,
  priority: 100,
  disabled: false,
  internal: false,
  limits: [],
  pauses: [],
  revision: 1,
  ...over,
});

const P = "/api/v1/infrastructure/certificate-authorities";

/** A platform with some authorities; moves are carried out, or refused. */
function authorities(refuse = false): Asked[] {
  let list = [authority("one"), authority("two"), authority("three"), authority("off", { disabled: true })];
  return fakeAPI(({ path, body }) => {
    if (path === P) return { body: { authorities: list } };
    if (path !== `${P}/order`) return undefined;
    if (refuse) return problem(503, "unavailable", "the database does not answer");
    list = reordered(list, (body as { authorities: string[] }).authorities);
    return { body: { authorities: list } };
  });
}

const names = () =>
  [...document.querySelectorAll("tr")].flatMap(
    (row) => /\b(one|two|three|off)\./.exec(row.textContent ?? "")?.[1] ?? [],
  );

it("moves an authority by keyboard, step by step, and keeps the focus", async () => {
  const log = authorities();
  show(<AuthoritiesTab admin />);
  (await screen.findByLabelText("Try one later")).focus();
  await userEvent.keyboard("{Enter}");
  await waitFor(() => expect(names()).toEqual(["two", "one", "three", "off"]));
  expect(document.activeElement?.getAttribute("aria-label")).toBe("Try one later");
  expect(screen.getByText("one is tried as number 2 of 3")).toBeTruthy();
  await userEvent.keyboard("{Enter}");
  await waitFor(() => expect(names()).toEqual(["two", "three", "one", "off"]));
  await userEvent.keyboard("{Enter}"); // it is last
  expect(log.filter((a) => a.method === "POST").map((a) => a.body)).toEqual([
    { authorities: ["two", "one", "three"] },
    { authorities: ["two", "three", "one"] },
  ]);
});

it("stands as it was when a move is refused", async () => {
  const log = authorities(true);
  show(<AuthoritiesTab admin />);
  await userEvent.click(await screen.findByLabelText("Try three earlier"));
  await waitFor(() => expect(log.some((a) => a.method === "POST")).toBe(true));
  await waitFor(() => expect(names()).toEqual(["one", "two", "three", "off"]));
});
