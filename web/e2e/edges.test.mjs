import assert from "node:assert/strict";
import { test } from "node:test";
import { accessible, clipboard, edgewright, picture } from "./harness.mjs";

const ew = edgewright();

const listed = async (page) => {
  await page.getByRole("table", { name: "Edges" }).getByText("Online").first().waitFor();
};

test("lists the edges with what each does", async () => {
  await ew.look("edges", "/edges", listed);
  await ew.page("/edges?q=nowhere", async (page) => {
    await page.getByRole("heading", { name: "Nothing matches" }).waitFor();
    await picture(page, "edges-no-results");
    await accessible(page, "no results");
    await page.getByRole("button", { name: "Clear the filter" }).last().click();
    await listed(page);
  });
});

test("makes a join command to copy", async () => {
  await ew.page("/edges", async (page) => {
    await page.getByRole("button", { name: "Join an edge" }).click();
    const dialog = page.getByRole("dialog", { name: "Join an edge" });
    await dialog.getByRole("textbox", { name: /Region/ }).fill("fra");
    await picture(page, "edges-join");
    await accessible(page, "join form");
    await dialog.getByRole("button", { name: "Make the command" }).click();
    await dialog.getByText("Waiting for it to appear.").waitFor();
    await picture(page, "edges-join-command");
    await accessible(page, "join command");
    await dialog.getByRole("button", { name: /^Copy/ }).click();
    await dialog.getByRole("status").filter({ hasText: "Copied" }).waitFor();
    assert.match(await clipboard(page), /edgewright edge --join \S+ --token \S+.*--region fra/);
  });
});

test("drains and takes back", async () => {
  await ew.page("/edges", async (page) => {
    await listed(page);
    const actions = page.getByRole("button", { name: /^Actions for/ }).first();
    await actions.click();
    await page.getByRole("menuitem", { name: "Drain" }).waitFor();
    await picture(page, "edges-actions");
    await accessible(page, "actions");
    await page.getByRole("menuitem", { name: "Drain" }).click();
    await page.getByRole("cell", { name: /Draining/ }).waitFor();
    await actions.click();
    await page.getByRole("menuitem", { name: "Take back" }).click();
    await page.getByRole("cell", { name: /Online/ }).waitFor();
  });
});

test("asks for the name before it revokes", async () => {
  await ew.page("/edges", async (page) => {
    await listed(page);
    await page
      .getByRole("button", { name: /^Actions for/ })
      .first()
      .click();
    await page.getByRole("menuitem", { name: "Revoke" }).click();
    const dialog = page.getByRole("dialog");
    const button = dialog.getByRole("button", { name: "Revoke" });
    assert.ok(await button.isDisabled());
    await picture(page, "edges-revoke");
    await accessible(page, "revoke");
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await listed(page);
  });
});

test("says what failed and recovers", async () => {
  await ew.lookAtErrors("edges", "/edges", listed);
});
