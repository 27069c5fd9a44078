import assert from "node:assert/strict";
import { test } from "node:test";
import { accessible, edgewright, picture } from "./harness.mjs";

const P = "/api/v1/infrastructure";

const ew = edgewright({
  async setup({ api }) {
    await api("POST", `${P}/cdn?reason=first%20try`, {
      name: "blog",
      origins: [{ name: "a", url: "http://127.0.0.1:1" }],
    });
    await api("PUT", `${P}/cdn/blog?reason=second%20try`, {
      origins: [{ name: "a", url: "http://127.0.0.1:2" }],
      cache_rules: [{ pattern: "/assets/**", ttl: 3600 }],
    });
  },
});

const listed = (page) => page.getByRole("button", { name: /second try/ }).waitFor();

test("lists changes; each unfolds to its difference and its rollout", async () => {
  const { revisions } = await ew.api("GET", `${P}/revisions?limit=1`);
  await ew.look("activity", `/activity?rev=${revisions[0].revision}`, async (page) => {
    await listed(page);
    await page.getByText("/origins/0/url").waitFor();
  });
  await ew.page("/activity", async (page) => {
    await listed(page);
    await page.getByRole("button", { name: /Added certificate demo\.localhost/ }).click();
    await page.waitForURL(/rev=\d+/);
    await page.getByText("/auto_renew").waitFor();
    await page.getByRole("table", { name: "On each edge" }).waitFor();
    await picture(page, "activity-rollout");
    await accessible(page, "rollout");
    await page.reload();
    await page.getByText("/auto_renew").waitFor();
    await page.getByRole("combobox", { name: "Kind" }).click();
    await accessible(page, "kind list");
    await page.getByRole("option", { name: "Certificates" }).click();
    await page.waitForURL(/kind=certificate/);
    await page.getByRole("button", { name: /second try/ }).waitFor({ state: "detached" });
  });
});

test("takes a change back after showing what that would change", async () => {
  await ew.page("/activity", async (page) => {
    await page.getByRole("button", { name: /Changed CDN blog · second try/ }).click();
    await page.getByRole("button", { name: "Revert", exact: true }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("/origins/0/url").waitFor();
    await picture(page, "revert");
    await accessible(page, "revert");
    await dialog.getByRole("button", { name: "Revert", exact: true }).click();
    await dialog.getByRole("button", { name: "Apply to production" }).click();
    await page.getByText(/Reverted as revision/).waitFor();
    await dialog.waitFor({ state: "detached" });
  });
  const { cdn_deployment: cdn } = await ew.api("GET", `${P}/cdn/blog`);
  assert.equal(cdn.origins[0].url, "http://127.0.0.1:1");
  assert.equal(cdn.cache_rules.length, 0);
});

test("refuses to take back what was changed since, until told to", async () => {
  const before = await ew.api("GET", `${P}/cdn/blog`);
  const write = (url) => ew.api("PUT", `${P}/cdn/blog`, { origins: [{ name: "a", url }] });
  await write("http://127.0.0.1:3");
  const { revisions } = await ew.api("GET", `${P}/revisions?kind=cdn&limit=1`);
  await write("http://127.0.0.1:4");
  await ew.page(
    `/activity?rev=${revisions[0].revision}`,
    async (page) => {
      await page.getByRole("button", { name: "Revert", exact: true }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByText("Later changes touch the same resources.").waitFor();
      await picture(page, "revert-conflict");
      await accessible(page, "conflict");
      await dialog.getByRole("checkbox").check();
      await dialog.getByRole("button", { name: "Revert", exact: true }).click();
      await dialog.getByRole("button", { name: "Apply to production" }).click();
      await page.getByText(/Reverted as revision/).waitFor();
    },
    { allow: /status of 409/ },
  );
  const { cdn_deployment: cdn } = await ew.api("GET", `${P}/cdn/blog`);
  assert.equal(cdn.origins[0].url, before.cdn_deployment.origins[0].url);
});

test("an environment without changes says so; failures recover", async () => {
  await ew.look("activity-empty", "/activity?environment=staging", (page) =>
    page.getByRole("heading", { name: "No changes yet" }).waitFor(),
  );
  await ew.lookAtErrors("activity", "/activity", listed);
});
