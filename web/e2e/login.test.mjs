import assert from "node:assert/strict";
import { test } from "node:test";
import { accessible, edgewright, fits, password, phone, picture } from "./harness.mjs";

const ew = edgewright({ flags: [] });
const anonymous = { signedIn: false, allow: /status of 401/ };

test("who is not signed in is led to the login", async () => {
  await ew.page(
    "/domains?q=shop",
    async (page) => {
      await page.getByRole("heading", { name: "Sign in" }).waitFor();
      assert.equal(new URL(page.url()).searchParams.get("next"), "/domains?q=shop");
    },
    anonymous,
  );
  for (const [way, options] of [
    ["light", {}],
    ["dark", { scheme: "dark" }],
    ["phone", { viewport: phone }],
  ]) {
    await ew.page(
      "/login",
      async (page) => {
        await page.getByRole("button", { name: "Sign in" }).waitFor();
        await picture(page, `login-${way}`);
        await accessible(page, `login ${way}`);
        await fits(page);
      },
      { ...anonymous, ...options },
    );
  }
});

test("a link that was never made is refused with the way to a new one", async () => {
  await ew.page(
    "/login?link=never-made",
    async (page) => {
      await page.getByRole("heading", { name: "This link does not work" }).waitFor();
      await picture(page, "login-link-refused");
      await accessible(page, "refused link");
      await page.getByRole("button", { name: "Sign in with a password" }).click();
      await page.getByLabel("Email").waitFor();
    },
    anonymous,
  );
});

test("the first link signs in, asks for email and password, and those work from then on", async () => {
  const login = new URL(ew.server.login);
  await ew.page(
    `${login.pathname}${login.search}`,
    async (page) => {
      await page.getByRole("heading", { name: "Set your email and password" }).waitFor();
      await picture(page, "login-setup");
      await accessible(page, "setup");
      await page.getByLabel("Email").fill("ada@example.com");
      await page.getByLabel("New password").fill("short");
      await page.getByLabel("Repeat the password").fill("short");
      await page.getByRole("button", { name: "Save and continue" }).click();
      await page.locator(".mantine-InputWrapper-error", { hasText: "At least 10 characters." }).waitFor();
      await page.getByLabel("New password").fill(password);
      await page.getByLabel("Repeat the password").fill(password);
      await page.getByRole("button", { name: "Save and continue" }).click();
      await page.getByRole("heading", { name: "Overview" }).waitFor();
      assert.equal(new URL(page.url()).search, "", "the link's secret stays in the address");

      await page.getByRole("button", { name: "Account" }).click();
      await page.getByRole("menuitem", { name: "Sign out" }).click();
      await page.getByText("You are signed out.").waitFor();

      await page.getByLabel("Email").fill("ada@example.com");
      await page.getByRole("textbox", { name: "Password" }).fill("something else");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("alert").waitFor();
      await picture(page, "login-wrong-password");
      await accessible(page, "wrong password");
      await page.getByRole("textbox", { name: "Password" }).fill(password);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("heading", { name: "Overview" }).waitFor();
    },
    anonymous,
  );
});

test("the spent link is spent", async () => {
  const login = new URL(ew.server.login);
  await ew.page(
    `${login.pathname}${login.search}`,
    (page) => page.getByRole("heading", { name: "This link does not work" }).waitFor(),
    anonymous,
  );
});
