import assert from "node:assert/strict";
import { test } from "node:test";
import { picture } from "./harness.mjs";
import { P, shop } from "./zone.mjs";

const ew = shop({ managed: true });

/** What has the focus, by the name it is known by, and whether that is to be seen. */
const focused = (page) =>
  page.evaluate(() => {
    const e = document.activeElement;
    if (!e || e === document.body) return { name: "", seen: true };
    const own = e.labels?.[0]?.textContent ?? e.textContent;
    const style = (n) => n && getComputedStyle(n);
    // A switch shows the focus on its track, which comes after it.
    const seen = [e, e.nextElementSibling, e.closest(".mantine-Input-input")].some(
      (n) => n && style(n).outlineStyle !== "none" && Number.parseFloat(style(n).outlineWidth) > 0,
    );
    return { name: (e.getAttribute("aria-label") ?? own ?? "").trim(), seen: seen || e.id === "main" };
  });

/** Goes on by Tab, or back, until what is wanted has the focus; every stop on the way shows it. */
async function tabTo(page, wanted, key = "Tab") {
  const way = [];
  for (let stops = 0; stops < 80; stops++) {
    await page.keyboard.press(key);
    const { name, seen } = await focused(page);
    assert.ok(seen, `nobody sees that "${name}" has the focus`);
    way.push(name);
    if (typeof wanted === "string" ? name === wanted : wanted.test(name)) return;
  }
  assert.fail(`${wanted} is not on the way: ${way.join(" | ")}`);
}

const enter = async (page, wanted, key) => {
  await tabTo(page, wanted, key);
  await page.keyboard.press("Enter");
};

/** A page that was gone to begins at its beginning, not in the navigation and not where the last one was left. */
const onPage = (page) => page.waitForFunction(() => document.activeElement?.id === "main");

test("a domain is added, from the list to a served site", async () => {
  const { domains } = await ew.api("GET", `${P}/domains`);
  const { origin } = domains.find((d) => d.domain === "demo.localhost");
  await ew.page("/domains", async (page) => {
    await page.getByRole("link", { name: "demo.localhost", exact: true }).waitFor();
    await page.keyboard.press("n");
    await page.getByLabel("Domain", { exact: true }).waitFor();
    await page.waitForFunction(() => document.activeElement?.matches("input"));
    await page.keyboard.type("keys.localhost");
    await tabTo(page, "Origin");
    await page.keyboard.type(origin);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "keys.localhost is live" }).waitFor();
    await enter(page, "Go to the domain");
    await page.getByRole("heading", { name: "keys.localhost", exact: true }).waitFor();
  });
});

test("a record is set, and its details open and close", async () => {
  await ew.page("/domains", async (page) => {
    await page.getByRole("link", { name: "shop.example.com", exact: true }).waitFor();
    await enter(page, "shop.example.com");
    await page.getByRole("tab", { name: "Overview" }).waitFor();
    await onPage(page);
    await tabTo(page, "Overview");
    for (const name of ["Set-up", "Records"]) {
      await page.keyboard.press("ArrowRight");
      assert.equal((await focused(page)).name, name);
    }
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Records of shop.example.com" }).waitFor();
    await enter(page, "Add record");
    const form = page.getByRole("region", { name: "New record" });
    await form.waitFor();
    await tabTo(page, "Name");
    await page.keyboard.type("typed");
    await tabTo(page, "Values"); // whether it says values, or leads to edges
    await tabTo(page, "Values");
    await page.keyboard.type("192.0.2.7");
    await enter(page, "Review the change");
    await form.getByText("/values").first().waitFor();
    await enter(page, "Apply");
    await form.getByRole("button", { name: "Apply to production" }).waitFor();
    await enter(page, "Apply to production");
    await form
      .getByText(/^(Verified|Applied)/)
      .first()
      .waitFor();
    await enter(page, "Done");
    await page.getByRole("button", { name: "Details of A typed" }).waitFor();
    await enter(page, "Details of A typed");
    await page.waitForURL(/record=rrs_/);
    await page.getByRole("heading", { name: "What is answered now" }).waitFor();
    await picture(page, "keyboard-record");
  });
  const { records } = await ew.api("GET", `${P}/domains/shop.example.com/records`);
  assert.deepEqual(records.find((r) => r.name === "typed")?.values, ["192.0.2.7"]);
});

test("a cache is purged, in a dialog that keeps the focus and gives it back", async () => {
  await ew.page("/domains/demo.localhost?tab=cache", async (page) => {
    await page.getByLabel("Paths").waitFor();
    await enter(page, "Purge everything");
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox").waitFor();
    await page.waitForFunction(() => document.activeElement?.matches("[data-autofocus]"));
    for (let stops = 0; stops < 6; stops++) {
      await page.keyboard.press("Tab");
      assert.ok(
        await page.evaluate(() => document.activeElement?.closest('[role="dialog"]')),
        "the focus left the dialog",
      );
    }
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await page.waitForFunction(() => document.activeElement?.textContent === "Purge everything");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement?.matches("[data-autofocus]"));
    await page.keyboard.type("demo.localhost");
    await page.keyboard.press("Enter");
    await page.getByText("No edge serves the old responses any more.").waitFor();
  });
});

test("a certificate is opened through the palette, and looked at from tab to tab", async () => {
  await ew.page("/", async (page) => {
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
    await page.keyboard.press("Control+k");
    await page.getByRole("dialog", { name: "Command palette" }).getByRole("textbox").waitFor();
    await page.keyboard.type("certificates");
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "demo.localhost", exact: true }).waitFor();
    await onPage(page);
    await enter(page, "demo.localhost");
    await page.getByRole("tab", { name: "Chain" }).waitFor();
    await onPage(page);
    await tabTo(page, "Overview");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    await page.getByText("SHA-256 fingerprint").first().waitFor();
    await tabTo(page, "To the domain", "Shift+Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("tab", { name: "Certificate", selected: true }).waitFor();
  });
});

test("a dialog that a menu opened gives the focus back to the menu", async () => {
  await ew.api("POST", `${P}/dns/providers`, {
    name: "main",
    driver: "cloudflare",
    credentials: { api_token: "0123456789".repeat(4) },
  });
  await ew.page("/settings?tab=dns", async (page) => {
    await page.getByRole("button", { name: "More: main" }).waitFor();
    for (const steps of [0, 1]) {
      await page.getByRole("button", { name: "More: main" }).focus();
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.activeElement?.matches('[role="menuitem"]'));
      for (let step = 0; step < steps; step++) await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      await page.getByRole("dialog").waitFor();
      await page.waitForFunction(() => document.activeElement?.closest('[role="dialog"]'));
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "More: main");
    }
  });
});
