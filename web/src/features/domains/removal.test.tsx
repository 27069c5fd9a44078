import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { type Asked, fakeAPI } from "@/test/api";
import { domain, plan, session } from "@/test/fixtures";
import { open } from "@/test/render";

const P = "/api/v1/infrastructure";
const name = "shop.example.com";

/** A domain whose removal is warned of; returns what was asked. */
function removable(warnings: string[]): Asked[] {
  return fakeAPI(({ path, method, query }) => {
    if (path === "/api/v1/session") return { body: session };
    if (path === `${P}/domains`) return { body: { domains: [], next_cursor: "" } };
    if (path !== `${P}/domains/${name}`) return undefined;
    if (method !== "DELETE") return { body: { domain_config: domain({ dns: { ...domain().dns, mode: "provider" } }) } };
    return query.get("dry_run") ? { body: plan({ warnings }) } : { status: 204 };
  });
}

async function openDialog() {
  open(`/domains/${name}?tab=settings`);
  await userEvent.click(await screen.findByRole("button", { name: "Remove domain" }));
}

async function confirm() {
  await userEvent.click(await screen.findByLabelText(`To confirm, type ${name}`));
  await userEvent.paste(name);
  await userEvent.click(screen.getAllByRole("button", { name: "Remove domain" }).at(-1) as HTMLElement);
}

const sent = (log: Asked[]) => log.find((a) => a.method === "DELETE" && !a.query.get("dry_run"))?.query;

describe("removing a domain", () => {
  it("lists what goes at the DNS provider, and has said so when it goes", async () => {
    const log = removable([`the record A ${name} 192.0.2.1 goes, at cf`]);
    await openDialog();
    expect(await screen.findByText(`The record A ${name} 192.0.2.1 goes, at cf.`)).toBeTruthy();
    expect(screen.getByRole("radio", { name: "Remove them too" })).toHaveProperty("checked", true);
    await confirm();
    await waitFor(() => expect(sent(log)?.get("consent")).toBe("true"));
    expect(sent(log)?.has("leave_records")).toBe(false);
  });

  it("leaves the records when that is chosen", async () => {
    const log = removable([`the record A ${name} 192.0.2.1 goes, at cf`]);
    await openDialog();
    await userEvent.click(await screen.findByRole("radio", { name: "Leave them there" }));
    await confirm();
    await waitFor(() => expect(sent(log)?.get("leave_records")).toBe("true"));
    expect(sent(log)?.has("consent")).toBe(false);
  });

  it("has nothing to choose when no records were set anywhere", async () => {
    removable([]);
    await openDialog();
    await waitFor(() => expect(screen.queryByText(/Asking the DNS provider/)).toBeNull());
    expect(screen.queryByRole("radio")).toBeNull();
  });
});
