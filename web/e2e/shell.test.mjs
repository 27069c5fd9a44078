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

test("an ended session is told of over an open dialog, which keeps what was typed and gets the focus back", async () => {
  await ew.page(
    "/domains/demo.localhost?tab=cache",
    async (page) => {
      await page.getByRole("button", { name: "Purge everything" }).click();
      const purge = page.getByRole("dialog", { name: /^Purge/ });
      await purge.getByRole("textbox").fill("demo.localhost");
      await page.context().clearCookies();
      await purge.getByRole("button", { name: "Purge everything" }).click();
      const login = page.getByRole("dialog", { name: "Your session has ended" });
      await login.getByLabel("Email").click(); // which is refused for what lies below something else
      await login.getByLabel("Email").fill("ada@example.com");
      await login.getByRole("textbox", { name: "Password" }).fill(password);
      await picture(page, "session-ended-over-dialog");
      await page.keyboard.press("Enter");
      await login.waitFor({ state: "detached" });
      await purge.getByText("Your session had ended, and nothing was changed. Sign in, then try again.").waitFor();
      assert.equal(await purge.getByRole("textbox").inputValue(), "demo.localhost");
      await page.waitForFunction(() => document.activeElement?.closest('[role="dialog"]'));
      await page.keyboard.press("Enter");
      await purge.waitFor({ state: "detached" });
    },
    { allow: /status of 401/ },
  );
});

test("a screen whose code does not come while the server is away comes when it is back", async () => {
  await ew.page(
    "/",
    async (page) => {
      await overview(page);
      await page.evaluate(() => {
        globalThis.kept = true;
      });
      const away = (url) => url.pathname === "/" || /EdgesPage/.test(url.pathname);
      await page.route(away, (route) => route.abort());
      const asked = page.waitForRequest((request) => request.method() === "HEAD");
      await page.getByRole("link", { name: "Edges", exact: true }).click();
      await asked;
      await page.getByRole("navigation", { name: "Main" }).waitFor();
      await page.unroute(away);
      await page.getByRole("heading", { name: "Edges", level: 1 }).waitFor();
      await picture(page, "edges-after-away");
      assert.equal(await page.evaluate(() => globalThis.kept), true, "the page was loaded anew");
    },
    { allow: /Failed to (load resource|fetch)|ERR_FAILED/ },
  );
});

test("says where the page is to be seen without colours, and where nothing moves", async () => {
  await ew.page("/domains/demo.localhost?tab=settings", async (page) => {
    await page.emulateMedia({ forcedColors: "active" });
    const track = page.locator(".mantine-Switch-track").first();
    await track.waitFor();
    await picture(page, "forced-colours");
    const line = (locator, what) => locator.evaluate((e, what) => getComputedStyle(e)[what], what);
    assert.equal(await line(page.locator('[aria-current="page"]').first(), "outlineStyle"), "solid");
    assert.equal(await line(track, "borderTopStyle"), "solid");
    await page.emulateMedia({ forcedColors: "none" });
    await page.route(/\/domains\?/, () => undefined); // an answer that does not come
    await page.goto(`${ew.server.dashboard}/domains`);
    await page.locator(".mantine-Skeleton-root").first().waitFor();
    const moving = () =>
      document
        .getAnimations()
        .filter((a) => a.playState === "running" && !Number.isFinite(a.effect.getComputedTiming().endTime));
    await page.waitForFunction(`(${moving})().length === 0`);
  });
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
