import assert from "node:assert/strict";
import { test } from "node:test";
import { accessible, clipboard, picture } from "./harness.mjs";
import { apply, at, D, shop } from "./zone.mjs";

const ew = shop({ managed: true });

test("signs a zone: plan, keys, what is under way; DS to hand over, what the parent has", async () => {
  await ew.look("dnssec-off", at("dnssec"), (page) =>
    page.getByRole("heading", { name: "This zone is not signed" }).waitFor(),
  );
  await ew.page(at("dnssec"), async (page) => {
    await page.getByRole("button", { name: "Sign the zone" }).click();
    await page.getByText("/dnssec/enabled").waitFor();
    await apply(page);
    await page.getByText("The zone is being signed").waitFor();
    await page.getByRole("table", { name: "Keys" }).getByText("CSK").waitFor();
    await picture(page, "dnssec-signing");
    await accessible(page, "signing");
  });
  // Hours later, when resolvers have the key and the registrar was told something else.
  const { dnssec } = await ew.until(`${D}/dnssec`, (answer) => answer.dnssec.key_list.length > 0);
  const [key] = dnssec.key_list;
  const later = {
    ...dnssec,
    rollover: undefined,
    ds: [key.ds[0]],
    key_list: [{ ...key, announced: true }],
    parent_ds: ["4711 13 2 49FD46E6C4B45C55D4AC69CBD3CD34AC1AFE51DE2B5C9A2D1E6C4B45C55D4AC6"],
    message: "give the registrar the DS record",
  };
  const prepare = (page) => page.route(/\/dnssec\?/, (route) => route.fulfill({ json: { dnssec: later } }));
  await ew.look("dnssec", at("dnssec"), (page) => page.getByText("fits no key of this zone: take it away").waitFor(), {
    prepare,
  });
  await ew.page(
    at("dnssec"),
    async (page) => {
      await page.getByRole("button", { name: `Copy ${later.ds[0]}` }).click();
      assert.equal(await clipboard(page), later.ds[0]);
      await page.getByRole("button", { name: "Replace the key" }).click();
      const dialog = page.getByRole("dialog");
      await picture(page, "dnssec-roll");
      await accessible(page, "rollover");
      await dialog.getByRole("button", { name: "Begin" }).click();
      await dialog.getByRole("alert").filter({ hasText: "under way" }).waitFor(); // as the binary knows
    },
    { prepare, allow: /status of 409/ },
  );
  await ew.lookAtErrors(
    "dnssec",
    at("dnssec"),
    (page) => page.getByRole("table", { name: "Keys" }).waitFor(),
    /\/dnssec\?/,
  );
});
