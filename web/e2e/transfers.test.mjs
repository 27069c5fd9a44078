import assert from "node:assert/strict";
import { test } from "node:test";
import { primary } from "./dns.mjs";
import { accessible, clipboard, lookAt, picture } from "./harness.mjs";
import { apply, at, P, shop } from "./zone.mjs";

const ew = shop({ managed: true });

test("gives the zone to secondaries: a key whose secret is shown once, what to write there, and nobody again", async () => {
  await ew.page(
    at("transfers"),
    async (page) => {
      await page.getByRole("heading", { name: "No keys yet" }).waitFor();
      await lookAt(page, "transfers-none");
      await page.getByRole("button", { name: "Make a key" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByRole("textbox", { name: "Name" }).fill("not a name");
      await dialog.getByRole("button", { name: "Make a key" }).click();
      await dialog.locator(".mantine-InputWrapper-error").first().waitFor();
      await accessible(page, "refused key");
      await dialog.getByRole("textbox", { name: "Name" }).fill("transfer.example.com");
      await dialog.getByRole("button", { name: "Make a key" }).click();
      await dialog.getByText("Copy it now").waitFor();
      await lookAt(page, "transfers-key");
      await dialog.getByRole("button", { name: "Copy the key for BIND" }).click();
      await dialog.getByRole("status").filter({ hasText: "Copied" }).waitFor();
      assert.match(
        await clipboard(page),
        /^key "transfer\.example\.com" \{\n {4}algorithm hmac-sha256;\n {4}secret "[\w+/]+=*";/,
      );
      await dialog.getByRole("button", { name: "Done" }).click();

      const out = page.getByRole("region", { name: "Given to secondaries" });
      await out.getByRole("button", { name: "Give it to secondaries" }).click();
      await out.getByRole("button", { name: "Review the change" }).click();
      await out.getByText(/^Choose at least one key/).waitFor();
      await out.getByRole("combobox", { name: "Keys" }).press("ArrowDown");
      await page.getByRole("option", { name: "transfer.example.com" }).click();
      await page.keyboard.press("Escape");
      await out.getByRole("textbox", { name: "Networks that may ask" }).fill("127.0.0.0/8\nnowhere");
      await out.getByRole("textbox", { name: /^Servers to tell/ }).fill("127.0.0.1:9");
      await out.getByRole("button", { name: "Review the change" }).click();
      await out.locator(".mantine-InputWrapper-error").first().waitFor();
      await lookAt(page, "transfers-out-refused");
      await out.getByRole("textbox", { name: "Networks that may ask" }).fill("127.0.0.0/8");
      await out.getByRole("button", { name: "Review the change" }).click();
      await out
        .getByText(/^\/transfer/)
        .first()
        .waitFor();
      await apply(page);
      await out
        .getByText(/^(Verified|Applied)/)
        .first()
        .waitFor();
      await out.getByRole("button", { name: "Edit again" }).click();
      await out.getByText("Given to whoever has the key").waitFor();
      await out.getByText("NSD", { exact: true }).click();
      await out.getByText(/request-xfr: 127\.0\.0\.1@\d+ transfer\.example\.com/).waitFor();
      await page.getByText("No secondary has asked yet").waitFor();
      await lookAt(page, "transfers-out");

      // Who has fetched it comes from edges once a minute: here it is as if one had passed.
      const transfers = /\/zone\/transfers\?/;
      await page.route(transfers, async (route) => {
        const response = await route.fetch();
        const json = await response.json();
        const at = new Date(Date.now() - 90_000).toISOString();
        const seen = (address, outcome, more) => ({ address, outcome, kind: "ixfr", at, ...more });
        json.transfers.secondaries = [
          seen("192.0.2.1", "given", { key: "transfer.example.com", serial: json.transfers.serial }),
          seen("2001:db8:85a3:8d3:1319:8a2e:370:7348", "current", { key: "transfer.example.com", serial: 1 }),
          seen("198.51.100.7", "bad_time", {
            error: "its clock and the edge's are more than five minutes apart",
            fix: "set the clock, on both sides by NTP",
          }),
        ];
        await route.fulfill({ response, json });
      });
      await page.reload();
      await page.getByText("Refused: wrong clock").waitFor();
      await page.getByText("Has this version").waitFor();
      await page.getByText("Has an older version").waitFor();
      await page.getByText("Set the clock, on both sides by NTP.").waitFor();
      await lookAt(page, "transfers-fetched");
      await page.unroute(transfers);

      // A zone names the key: it stays, and the dialog says why.
      await page.getByRole("button", { name: "Remove transfer.example.com" }).click();
      const remove = page.getByRole("dialog", { name: "Remove the key transfer.example.com" });
      await remove.getByRole("textbox").fill("transfer.example.com");
      await remove.getByRole("button", { name: "Remove" }).click();
      await remove.getByRole("alert").filter({ hasText: "example.com" }).waitFor();
      await picture(page, "transfers-key-in-use");
      await accessible(page, "key in use");
      await page.keyboard.press("Escape");
      await remove.waitFor({ state: "detached" });

      await out.getByRole("button", { name: "Give it to nobody" }).click();
      await apply(page);
      await out
        .getByText(/^(Verified|Applied)/)
        .first()
        .waitFor();
    },
    { allow: /status of (422|409)/ },
  );
});

test("takes a zone from its primary: copied, asked again, failing with why", async () => {
  const from = await primary("copy.example.net", 2026112801, { www: "192.0.2.7" });
  try {
    const { domains } = await ew.api("GET", `${P}/domains`);
    await ew.api("POST", `${P}/domains`, { domain: "copy.example.net", origin: domains[0].origin });
    await ew.api("POST", `${P}/domains/copy.example.net/zone`);
    await ew.page("/domains/copy.example.net?tab=transfers", async (page) => {
      const panel = page.getByRole("region", { name: "Taken from a primary" });
      await panel.getByRole("button", { name: "Make it a secondary" }).click();
      await panel.getByRole("button", { name: "Review the change" }).click();
      await panel.getByText("Enter the address.").waitFor();
      await panel.getByRole("textbox", { name: "Address" }).fill(from.address);
      await panel.getByRole("button", { name: "Review the change" }).click();
      await panel
        .getByText(/^\/secondary/)
        .first()
        .waitFor();
      await apply(page);
      await panel
        .getByText(/^(Verified|Applied)/)
        .first()
        .waitFor();
      await panel.getByRole("button", { name: "Edit again" }).click();
      await panel.getByText("As the primary has it").waitFor();
      await panel.getByText("2026112801").first().waitFor();
      await lookAt(page, "transfers-in");
      from.close();
      await panel.getByRole("button", { name: "Ask now" }).click();
      await panel.getByText("The copy is served; no primary answers").waitFor();
      await lookAt(page, "transfers-failing");
      await panel.getByRole("button", { name: "Be no secondary any more" }).click();
      await panel.getByRole("button", { name: "Review the change" }).click();
      await panel
        .getByText(/^\/secondary/)
        .first()
        .waitFor();
    });
  } finally {
    from.close();
  }
  await ew.lookAtErrors(
    "transfers",
    at("transfers"),
    (page) => page.getByRole("button", { name: "Give it to secondaries" }).waitFor(),
    /\/zone\/transfers\?/,
  );
});
