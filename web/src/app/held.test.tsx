import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { fakeAPI } from "@/test/api";
import { session } from "@/test/fixtures";
import { open } from "@/test/render";

const P = "/api/v1/infrastructure";

describe("removals that are held back", () => {
  it("are shown to the platform's admins, who must agree in words", async () => {
    let waiting = true;
    const log = fakeAPI(({ path, method }) => {
      if (path === "/api/v1/session") return { body: session };
      if (path === `${P}/held`) {
        return {
          body: { held: waiting ? [{ kind: "site", keys: ["site/dom_1", "site/dom_2"], of: 3 }] : [], next_cursor: "" },
        };
      }
      if (path === `${P}/held/site/release` && method === "POST") {
        waiting = false;
        return { body: { released_count: 2 } };
      }
      return undefined;
    });
    open("/settings?tab=about");
    expect((await screen.findByText("Removal of 2 of 3 sites is held back.")).closest("[role=alert]")).toBeTruthy();
    await userEvent.click(screen.getByRole("button", { name: "Look at it" }));
    const dialog = await screen.findByRole("dialog");
    expect(within(dialog).getByText("site/dom_2")).toBeTruthy();
    await userEvent.type(within(dialog).getByRole("textbox"), "remove 2");
    await userEvent.click(within(dialog).getByRole("button", { name: "Let them go" }));
    expect(await screen.findByText("About", { selector: "h2" })).toBeTruthy();
    expect(log.filter((a) => a.path.endsWith("/release"))).toHaveLength(1);
  });

  it("are not asked for by others", async () => {
    const log = fakeAPI(({ path }) =>
      path === "/api/v1/session"
        ? { body: { ...session, principal: { ...session.principal, platform_role: undefined } } }
        : undefined,
    );
    open("/settings?tab=about");
    await screen.findByText("About", { selector: "h2" });
    expect(log.some((a) => a.path === `${P}/held`)).toBe(false);
  });
});
