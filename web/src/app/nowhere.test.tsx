import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { fakeAPI } from "@/test/api";
import { domain, session } from "@/test/fixtures";
import { open } from "@/test/render";

// Compiled before the clock of a test runs.
import "@/features/activity/ActivityPage";
import "@/features/certificates/CertificatePage";

const P = "/api/v1/infrastructure";

/** A control plane that knows shop.example.com, which has no certificate, and no revision. */
function knowsOne() {
  return fakeAPI(({ path }) => {
    if (path === "/api/v1/session") return { body: session };
    if (path === `${P}/domains/shop.example.com`) return { body: { domain_config: domain() } };
    if (path === `${P}/revisions`) return { body: { revisions: [], next_cursor: "" } };
    return undefined;
  });
}

describe("an address of what is not there", () => {
  it("offers no certificate for a domain that is not here", async () => {
    knowsOne();
    open("/certificates/none.example");
    expect(await screen.findByRole("heading", { name: "There is no such domain here" })).toBeTruthy();
    expect(screen.queryByRole("button", { name: "Issue now" })).toBeNull();
    expect(screen.getByRole("link", { name: "All certificates" })).toBeTruthy();
  });

  it("offers the first certificate for one that is", async () => {
    knowsOne();
    open("/certificates/shop.example.com");
    expect(await screen.findByRole("button", { name: "Issue now" })).toBeTruthy();
  });

  it("says that a revision is not here, and lets it go", async () => {
    knowsOne();
    const { router } = open("/activity?rev=999");
    expect(await screen.findByText("There is no such revision here")).toBeTruthy();
    await userEvent.click(screen.getByRole("button", { name: "Close" }));
    await waitFor(() => expect(screen.queryByText("There is no such revision here")).toBeNull());
    expect(router.state.location.search).toEqual({});
  });
});
