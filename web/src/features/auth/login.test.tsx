import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { fakeAPI, problem } from "@/test/api";
import { session } from "@/test/fixtures";
import { open } from "@/test/render";

const user = session.user;

describe("login", () => {
  it("leads who is not signed in to the form, and back to where they wanted", async () => {
    let signedIn = false;
    const log = fakeAPI(({ path, method }) => {
      if (path === "/api/v1/session") return signedIn ? { body: session } : problem(401, "unauthenticated", "log in");
      if (path === "/api/v1/login" && method === "POST") {
        signedIn = true;
        return { body: { user, must_set_password: false } };
      }
      return undefined;
    });
    const { router } = open("/settings?tab=about");
    await userEvent.type(await screen.findByLabelText("Email"), "ada@example.com");
    await userEvent.type(screen.getByLabelText("Password"), "correct horse");
    await userEvent.click(screen.getByRole("button", { name: "Sign in" }));
    await waitFor(() => expect(router.state.location.pathname).toBe("/settings"));
    expect(router.state.location.search).toMatchObject({ tab: "about" });
    expect(log.find((a) => a.path === "/api/v1/login")?.body).toEqual({
      email: "ada@example.com",
      password: "correct horse",
    });
  });

  it("validates before it asks, and shows the server's refusal", async () => {
    const log = fakeAPI(({ path }) =>
      path === "/api/v1/login" ? problem(401, "unauthenticated", "email or password is wrong") : undefined,
    );
    open("/login");
    await userEvent.click(await screen.findByRole("button", { name: "Sign in" }));
    expect(screen.getAllByText("Required")).toHaveLength(2);
    expect(log.filter((a) => a.path === "/api/v1/login")).toHaveLength(0);
    await userEvent.type(screen.getByLabelText("Email"), "ada@example.com");
    await userEvent.type(screen.getByLabelText("Password"), "wrong");
    await userEvent.click(screen.getByRole("button", { name: "Sign in" }));
    expect((await screen.findByRole("alert")).textContent).toContain("Email or password is wrong.");
  });

  it("spends a link once, then asks for email and password with the account's revision", async () => {
    const log = fakeAPI(({ path }) => {
      if (path === "/api/v1/login")
        return { body: { user: { ...user, email: "", has_password: false }, must_set_password: true } };
      if (path === "/api/v1/account") return { body: { user } };
      if (path === "/api/v1/session") return { body: session };
      return undefined;
    });
    open("/login?link=one-time-a");
    await screen.findByText("Set your email and password");
    await userEvent.type(screen.getByLabelText("Email"), "ada@example.com");
    await userEvent.type(screen.getByLabelText("New password"), "short");
    await userEvent.type(screen.getByLabelText("Repeat the password"), "shorter");
    await userEvent.click(screen.getByRole("button", { name: "Save and continue" }));
    expect(screen.getByText("The two passwords differ.")).toBeTruthy();
    expect(log.some((a) => a.path === "/api/v1/account")).toBe(false);
    await userEvent.clear(screen.getByLabelText("New password"));
    await userEvent.type(screen.getByLabelText("New password"), "long enough words");
    await userEvent.clear(screen.getByLabelText("Repeat the password"));
    await userEvent.type(screen.getByLabelText("Repeat the password"), "long enough words");
    await userEvent.click(screen.getByRole("button", { name: "Save and continue" }));
    await waitFor(() => expect(log.some((a) => a.path === "/api/v1/account")).toBe(true));
    const saved = log.find((a) => a.path === "/api/v1/account");
    expect(saved?.headers.get("if-match")).toBe('"3"');
    expect(saved?.body).toMatchObject({ email: "ada@example.com", password: "long enough words" });
    expect(log.filter((a) => a.path === "/api/v1/login")).toHaveLength(1);
  });

  it("says how to get another when a link is spent", async () => {
    fakeAPI(({ path }) =>
      path === "/api/v1/login" ? problem(401, "unauthenticated", "the link was used") : undefined,
    );
    open("/login?link=one-time-b");
    expect(await screen.findByText("This link does not work")).toBeTruthy();
    expect(screen.getByText("edgewright login")).toBeTruthy();
  });
});
