import assert from "node:assert/strict";
import { test } from "node:test";
import { accessible, edgewright, password, phone, picture } from "./harness.mjs";

const ew = edgewright();
const overview = (page) => page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();

test("the palette reaches pages, domains, edges and actions", async () => {
  for (const scheme of ["light", "dark"]) {
    await ew.page(
      "/",
      async (page) => {
        await overview(page);
        await page.keyboard.press("Control+k");
        const palette = page.getByRole("dialog", { name: "Command palette" });
        await palette.getByText("demo.localhost").waitFor();
        await picture(page, `palette-${scheme}`);
        await accessible(page, `palette ${scheme}`);
        const search = palette.getByRole("textbox", { name: "Search pages, domains, edges, actions" });
        await search.fill("demo.l");
        await page.keyboard.press("Enter");
        await page.getByRole("heading", { name: "demo.localhost" }).waitFor();
        await page.keyboard.press("Control+k");
        await search.fill("create an api");
        await palette.getByText("Create an API token").waitFor();
        await page.keyboard.press("Enter");
        await page.getByRole("heading", { name: "API tokens", exact: true }).waitFor();
      },
      { scheme },
    );
  }
});

test("keys: ? lists, / filters, g goes, n adds", async () => {
  await ew.page("/domains", async (page) => {
    await page.getByRole("link", { name: "demo.localhost", exact: true }).waitFor();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
    await picture(page, "shortcuts");
    await accessible(page, "shortcuts");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.keyboard.press("/");
    await page.keyboard.type("nothing-like-it");
    await page.getByRole("heading", { name: "Nothing matches" }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await page.getByRole("link", { name: "demo.localhost", exact: true }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("e");
    await page.getByRole("heading", { name: "Edges", level: 1 }).waitFor();
    await page.keyboard.press("n");
    await page.getByRole("heading", { name: "Add a domain" }).waitFor();
  });
});

test("project and environment are switched, shown and kept", async () => {
  await ew.page("/domains", async (page) => {
    await page.getByRole("button", { name: "Environment: production" }).click();
    await picture(page, "environment-menu");
    await accessible(page, "environment menu");
    await page.getByRole("menuitem", { name: "staging" }).click();
    await overview(page);
    await page.getByRole("button", { name: "Environment: staging" }).waitFor();
    await page.getByRole("link", { name: "Domains", exact: true }).click();
    await page.getByRole("heading", { name: "No domains yet" }).waitFor();
    assert.match(page.url(), /environment=staging/);
    await page.reload();
    await page.getByRole("button", { name: "Environment: staging" }).waitFor();
  });
});

test("the colour scheme is chosen and outlasts a reload", async () => {
  await ew.page("/", async (page) => {
    await overview(page);
    await page.getByRole("button", { name: "Account" }).click();
    await picture(page, "account-menu");
    await accessible(page, "account menu");
    await page.getByRole("menuitem", { name: "Dark" }).click();
    await page.waitForFunction(() => document.documentElement.dataset.mantineColorScheme === "dark");
    await page.reload();
    await overview(page);
    assert.equal(await page.evaluate(() => document.documentElement.dataset.mantineColorScheme), "dark");
  });
});

test("on a phone the menu opens and leads on", async () => {
  await ew.page(
    "/",
    async (page) => {
      await overview(page);
      await page.getByRole("button", { name: "Open the menu" }).click();
      await page.getByRole("dialog").getByRole("link", { name: "Activity" }).waitFor();
      await picture(page, "menu-phone");
      await accessible(page, "menu on a phone");
      await page.getByRole("dialog").getByRole("link", { name: "Activity" }).click();
      await page.getByRole("heading", { name: "Activity", level: 1 }).waitFor();
      await page.getByRole("dialog").waitFor({ state: "detached" });
    },
    { viewport: phone },
  );
});

test("an ended session is signed in again over the page", async () => {
  await ew.page(
    "/domains/add",
    async (page) => {
      await page.getByLabel("Domain", { exact: true }).fill("half-typed.example.com");
      await page.context().clearCookies();
      await page.getByLabel("Origin", { exact: true }).fill("http://127.0.0.1:1");
      await page.getByRole("button", { name: "Add domain" }).click();
      const dialog = page.getByRole("dialog", { name: "Your session has ended" });
      await dialog.waitFor();
      await picture(page, "session-ended");
      await accessible(page, "session ended");
      await dialog.getByLabel("Email").fill("ada@example.com");
      await dialog.getByRole("textbox", { name: "Password" }).fill(password);
      await dialog.getByRole("button", { name: "Sign in" }).click();
      await dialog.waitFor({ state: "detached" });
      assert.equal(await page.getByLabel("Domain", { exact: true }).inputValue(), "half-typed.example.com");
    },
    { allow: /status of 401/ },
  );
});

test("an address that nothing answers to is told so inside the frame", async () => {
  await ew.page("/nowhere/at/all", async (page) => {
    await page.getByRole("heading", { name: "There is no such page" }).waitFor();
    await picture(page, "not-found");
    await accessible(page, "not found");
    await page.getByRole("link", { name: "Go to the overview" }).click();
    await overview(page);
  });
});

test("the policy allows this host and this response's nonce only", async () => {
  const first = await fetch(`${ew.server.dashboard}/`);
  const second = await fetch(`${ew.server.dashboard}/domains/shop.example.com`);
  const nonceOf = (r) => /'nonce-([^']+)'/.exec(r.headers.get("content-security-policy"))?.[1];
  assert.ok(nonceOf(first));
  assert.notEqual(nonceOf(first), nonceOf(second));
  assert.doesNotMatch(first.headers.get("content-security-policy"), /unsafe|\*|https?:/);
  assert.match(await second.text(), new RegExp(`content="${nonceOf(second)}"`));
  const missing = await fetch(`${ew.server.dashboard}/assets/gone-1234.js`);
  assert.equal(missing.status, 404);
  assert.doesNotMatch(missing.headers.get("content-type") ?? "", /html/);
});
