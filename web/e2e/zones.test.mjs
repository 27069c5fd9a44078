import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { accessible, lookAt, picture } from "./harness.mjs";
import { apply, at, D, shop } from "./zone.mjs";

const ew = shop();

const records = (page) => page.getByRole("heading", { name: "Records of example.com" }).waitFor();

/** An hour of queries, which edges tell of once a minute. */
const asked = (() => {
  const sums = (n) => ({
    queries: 4 * n,
    answers: 2 * n,
    referrals: 0,
    nodata: n / 2,
    nxdomain: n / 2,
    failed: n / 2,
    limited: n / 2,
  });
  const begin = Math.floor(Date.now() / 60_000) * 60_000 - 3_600_000;
  const counts = Array.from({ length: 60 }, (_, i) => i);
  return {
    zone: "example.com",
    window: 3600,
    step: 60,
    series: counts.map((n) => ({ at: new Date(begin + n * 60_000).toISOString(), ...sums(n) })),
    totals: sums(counts.reduce((a, b) => a + b, 0)),
  };
})();

test("a domain without a zone says how to get one, and gets it by the choice in Set-up", async () => {
  const none = (page) => page.getByRole("heading", { name: "The DNS of this domain is not managed here" }).waitFor();
  const allow = /status of 404/; // that there is no zone
  await ew.look("records-none", at("records"), none, { allow });
  await ew.look(
    "dnssec-none",
    at("dnssec"),
    (page) => page.getByRole("heading", { name: "There is no zone to sign" }).waitFor(),
    { allow },
  );
  await ew.page(
    at("records"),
    async (page) => {
      await none(page);
      await page.getByRole("link", { name: "Choose in Set-up" }).click();
      await page.getByRole("radio", { name: /^Edgewright/ }).click();
      await page.getByRole("button", { name: "Review the change" }).click();
      await page.getByText("/dns", { exact: true }).waitFor();
      await apply(page);
      await page.getByRole("heading", { name: "Set these name servers at your registrar" }).waitFor();
      await picture(page, "setup-chosen");
      await accessible(page, "chosen");
    },
    { allow },
  );
  await ew.until(`${D}/zone/settings`, ({ zone }) => zone.serial > 0);
});

test("records: made, refused where it was typed, edited in place, removed, reverted", async () => {
  await ew.page(
    at("records"),
    async (page) => {
      await records(page);
      await page.getByRole("button", { name: "Add record" }).click();
      const form = page.getByRole("region", { name: "New record" });
      await form.getByRole("button", { name: "Review the change" }).click();
      await form.getByText("Enter a name, or @ for the zone itself.").waitFor();
      await form.getByRole("textbox", { name: "Name" }).fill("www");
      await form.getByLabel("Values", { exact: true }).last().fill("192.0.2.1\n192.0.2.999");
      await form.getByRole("button", { name: "Review the change" }).click();
      await form.getByText(/^Line 2: "192.0.2.999" is not/).waitFor();
      await picture(page, "record-refused");
      await accessible(page, "refused record");
      await form.getByLabel("Values", { exact: true }).last().fill("192.0.2.1");
      await form.getByRole("button", { name: "Review the change" }).click();
      await form.getByText("/values").first().waitFor();
      await picture(page, "record-review");
      await apply(page);
      await form
        .getByText(/^(Verified|Applied)/)
        .first()
        .waitFor();
      await picture(page, "record-applied");
      await accessible(page, "applied record");
      await form.getByRole("button", { name: "Done" }).click();

      await page.getByRole("button", { name: "Details of A www" }).click();
      await page.waitForURL(/record=rrs_/);
      await page.getByRole("button", { name: "Edit", exact: true }).click();
      await page.getByRole("textbox", { name: "TTL in seconds" }).fill("60");
      await page.getByRole("button", { name: "Review the change" }).click();
      await page.getByText("/ttl").waitFor();
      await picture(page, "record-edit");
      await apply(page);
      await page.getByRole("heading", { name: "What is answered now" }).waitFor();
      await page.getByRole("button", { name: "Revert" }).click();
      await page.getByText(/Reverted as revision/).waitFor();
    },
    { allow: /status of 422/ },
  );
  const { records: list } = await ew.api("GET", `${D}/records`);
  const www = list.find((r) => r.name === "www");
  assert.equal(www.ttl, undefined);
  await ew.page(at("records", `&record=${www.id}`), async (page) => {
    await page.getByRole("button", { name: "Remove", exact: true }).click();
    await page.getByRole("button", { name: "Review the change" }).click();
    await apply(page);
    await page.getByRole("button", { name: "Details of A www" }).waitFor({ state: "detached" });
  });
});

test("steers a set: by place, weight and health; refused where it was typed; led to our edges by a picker", async () => {
  await ew.page(
    at("records"),
    async (page) => {
      await records(page);
      await page.getByRole("button", { name: "Add record" }).click();
      const form = page.getByRole("region", { name: "New record" });
      await form.getByRole("textbox", { name: "Name" }).fill("geo");
      await form.getByText("Our edges", { exact: true }).click();
      await form.getByRole("combobox", { name: "Lead to" }).click();
      await page.getByRole("option", { name: "Edges of a region" }).click();
      await form.getByRole("button", { name: "Review the change" }).click();
      await form.getByText("Say which.").waitFor();
      await form.getByRole("combobox", { name: "Which region" }).click();
      await page.getByRole("option", { name: "local" }).click();
      await form.getByRole("combobox", { name: "Who gets which answer" }).click();
      await page.getByRole("option", { name: "By place, order, weight and health" }).click();
      await form.getByRole("button", { name: "Add a health check" }).click();
      const answer = form.getByRole("region", { name: "Answer 1" });
      const countries = answer.getByRole("combobox", { name: "Countries" });
      await countries.fill("xyz");
      await countries.press("Enter");
      await answer.getByRole("textbox", { name: "Values" }).fill("192.0.2.77");
      await answer.getByRole("textbox", { name: "Weight" }).fill("much");
      await answer.getByRole("combobox", { name: "Only while it passes" }).click();
      await page.getByRole("option", { name: "http" }).click();
      await form.getByRole("button", { name: "Review the change" }).click();
      await answer.getByText("Write a number.").waitFor();
      await answer.getByRole("textbox", { name: "Weight" }).fill("3");
      await form.getByRole("button", { name: "Review the change" }).click();
      await answer.getByText(/"XYZ" is no country/).waitFor();
      await lookAt(page, "steering");
      await countries.press("Backspace");
      await countries.fill("de");
      await countries.press("Enter");
      await form.getByRole("button", { name: "Review the change" }).click();
      await form.getByText("/steering").first().waitFor();
      await apply(page);
      await form.getByRole("button", { name: "Done" }).click();
      await page.getByRole("button", { name: "Details of A geo" }).click();
      await page.getByText("DE: 192.0.2.77").waitFor();
      // It comes back into the editor as it is, and the nearest region is chosen by one word.
      await page.getByRole("button", { name: "Edit", exact: true }).click();
      await page.getByRole("textbox", { name: "Name of the check" }).waitFor();
      await page.getByRole("combobox", { name: "Who gets which answer" }).click();
      await page.getByRole("option", { name: "The nearest of our regions" }).click();
      await page.getByRole("button", { name: "Review the change" }).click();
      await page.getByText(/this set does not point at them/).waitFor();
      await page.getByRole("combobox", { name: "Lead to" }).click();
      await page.getByRole("option", { name: "All edges" }).click();
      await page.getByRole("button", { name: "Review the change" }).click();
      await page.getByText("/steering").first().waitFor();
      await apply(page);
    },
    { allow: /status of 422/ },
  );
  await ew.until(`${D}/records`, ({ records: list }) =>
    list.some((r) => r.name === "geo" && r.steering?.policy === "latency" && r.target.kind === "edges"),
  );
});

test("a zone file: refused by line, previewed with what is left out, applied, exported again", async () => {
  const file = '$TTL 300\n@ MX 10 mail\nmail A 192.0.2.3\nbad A 999.1.1.1\n@ SOA a b 1 2 3 4 5\n*.wild TXT "v=1"\n';
  await ew.look("import", at("records", "&import=true"), (page) =>
    page.getByRole("textbox", { name: "Zone file" }).waitFor(),
  );
  await ew.page(
    at("records"),
    async (page) => {
      await page.getByRole("button", { name: "Import" }).click();
      await page.getByRole("button", { name: "Preview" }).click();
      await page.getByText("Paste a zone file, or choose one.").waitFor();
      await page
        .locator('input[type="file"]')
        .setInputFiles({ name: "example.com.zone", mimeType: "text/plain", buffer: Buffer.from(file) });
      await page.getByRole("button", { name: "Preview" }).click();
      await page
        .getByRole("alert")
        .getByText(/line 4: "999.1.1.1"/i)
        .first()
        .waitFor();
      await picture(page, "import-refused");
      await accessible(page, "refused file");
      await page.getByRole("checkbox", { name: "Take what is well-formed" }).click();
      await page.getByRole("button", { name: "Preview" }).click();
      await page
        .getByRole("table", { name: "Left out" })
        .getByText(/The SOA is made by itself/)
        .waitFor();
      await picture(page, "import-preview");
      await accessible(page, "preview of a file");
      await apply(page);
      await page.getByText("Imported. The edges are answering it.").waitFor();
      await page.getByRole("button", { name: "Back to the records" }).click();
      await page.getByRole("button", { name: "Details of MX @" }).waitFor();
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("link", { name: "Export example.com as a zone file" }).click(),
      ]);
      const text = readFileSync(await download.path(), "utf8");
      assert.match(text, /^mail 300 IN A 192\.0\.2\.3$/m);
    },
    { allow: /status of 422/ },
  );
});

test("the zone's own settings go through the difference too", async () => {
  await ew.page(
    at("records"),
    async (page) => {
      await records(page);
      await page.getByRole("main").getByRole("button", { name: "Settings" }).click();
      const dialog = page.getByRole("dialog", { name: "Settings of example.com" });
      await dialog.getByLabel("TTL in seconds").fill("soon");
      await dialog.getByRole("button", { name: "Review the change" }).click();
      await dialog.getByText("Write a number of seconds.").waitFor();
      await dialog.getByLabel("TTL in seconds").fill("9999999");
      await dialog.getByRole("button", { name: "Review the change" }).click();
      await dialog
        .getByText(/are out of range/)
        .first()
        .waitFor();
      await picture(page, "zone-settings-refused");
      await accessible(page, "zone settings");
      await dialog.getByLabel("TTL in seconds").fill("600");
      await dialog.getByRole("button", { name: "Review the change" }).click();
      await dialog.getByText("/ttl").waitFor();
      await apply(dialog);
      await dialog.getByText("Applied. The edges are taking it up.").waitFor();
    },
    { allow: /status of 422/ },
  );
  const { zone } = await ew.api("GET", `${D}/zone/settings`);
  assert.equal(zone.ttl, 600);
});

test("filters records in the address, and shows one unfolded", async () => {
  const { records: list } = await ew.api("GET", `${D}/records`);
  const mail = list.find((r) => r.name === "mail");
  await ew.look("records", at("records"), async (page) => {
    await records(page);
    await page.getByRole("button", { name: "Details of A mail" }).waitFor();
    await page.getByRole("figure", { name: "DNS queries" }).waitFor();
  });
  await ew.look(
    "records-queries",
    at("records"),
    async (page) => {
      await records(page);
      const panel = page.getByRole("region", { name: "DNS queries" });
      await panel.getByText("7,080", { exact: true }).waitFor();
    },
    { prepare: (page) => page.route(/\/dns\/queries\?/, (route) => route.fulfill({ json: asked })) },
  );
  await ew.page(at("records"), async (page) => {
    const panel = page.getByRole("region", { name: "DNS queries" });
    const day = page.waitForResponse(/\/dns\/queries\?.*window=86400/);
    await panel.getByText("24 hours", { exact: true }).click();
    assert.equal((await (await day).json()).zone, "example.com");
    await panel.getByText("last 24 hours").waitFor();
  });
  await ew.look("record", at("records", `&record=${mail.id}`), (page) =>
    page.getByRole("heading", { name: "What is answered now" }).waitFor(),
  );
  await ew.page(at("records"), async (page) => {
    await page.getByPlaceholder("Filter by name, type or value").fill("nothing-like-it");
    await page.getByRole("heading", { name: "Nothing matches" }).waitFor();
    await page.waitForURL(/q=nothing/);
    await page.getByRole("button", { name: "Clear the filter" }).last().click();
    await page.getByRole("button", { name: "Details of A mail" }).waitFor();
  });
  await ew.lookAtErrors("records", at("records"), records, /\/(zone\/settings|records)\?/);
});

test("a long zone keeps only what is near the screen", async () => {
  const many = Array.from({ length: 800 }, (_, i) => ({
    name: `host-${i}`,
    type: "A",
    values: [`10.0.${i >> 8}.${i & 255}`],
  }));
  await ew.api("POST", `${D}/records/edit`, { records: many });
  await ew.page(at("records"), async (page) => {
    await page.getByText(/^80\d in total$/).waitFor();
    assert.ok((await page.locator("tbody tr").count()) < 300);
    await page.getByPlaceholder("Filter by name, type or value").fill("host-799");
    await page.getByRole("button", { name: "Details of A host-799" }).click();
    await page.getByRole("heading", { name: "What is answered now" }).waitFor();
  });
  await ew.api("POST", `${D}/records/edit`, {
    records: many.map(({ name, type }) => ({ name, type, remove: true })),
    consent: true,
  });
});

test("changes many sets as one: text in their values, then all of them away", async () => {
  await ew.api("POST", `${D}/records/edit`, {
    records: Array.from({ length: 20 }, (_, i) => ({ name: `bulk-${i}`, type: "A", values: [`10.1.0.${i}`] })),
  });
  await ew.page(at("records", "&q=bulk-"), async (page) => {
    await page.getByRole("checkbox", { name: "Select all 20 shown" }).click();
    const bulk = page.getByRole("region", { name: "Change the selected" });
    await bulk.getByText("20 sets selected").waitFor();
    await page.getByRole("checkbox", { name: "Select A bulk-3", exact: true }).click();
    await bulk.getByText("19 sets selected").waitFor();
    const choose = async (action) => {
      await bulk.getByRole("combobox", { name: "What to do" }).click();
      await page.getByRole("option", { name: action }).click();
    };
    await choose("Replace in the values");
    await bulk.getByRole("textbox", { name: "Find" }).fill("no such text");
    await bulk.getByRole("button", { name: "Review the change" }).click();
    await bulk.getByText("No selected set has this in its values.").waitFor();
    await lookAt(page, "bulk");
    await bulk.getByRole("textbox", { name: "Find" }).fill("10.1.0.1");
    await bulk.getByRole("textbox", { name: "Replace by" }).fill("10.9.0.1");
    await bulk.getByRole("button", { name: "Review the change" }).click();
    await bulk.getByText("10.9.0.19").first().waitFor();
    await picture(page, "bulk-review");
    await apply(page);
    await bulk.getByText("Applied. The edges are taking it up.").waitFor();
    await bulk.getByRole("button", { name: "Edit again" }).click();
    await page.getByRole("checkbox", { name: "Select all 20 shown" }).click();
    await choose("Remove");
    await bulk.getByRole("checkbox", { name: /^Also when this empties the zone/ }).click();
    await bulk.getByRole("button", { name: "Review the change" }).click();
    await apply(page);
    await bulk.getByText("Applied. The edges are taking it up.").waitFor();
  });
  const { records: list } = await ew.api("GET", `${D}/records?limit=500`);
  assert.ok(!list.some((r) => r.name.startsWith("bulk-")));
});

test("removes a zone by its name, after saying what is lost", async () => {
  await ew.page(
    at("records"),
    async (page) => {
      await records(page);
      await page.getByRole("main").getByRole("button", { name: "Settings" }).click();
      await page.getByRole("button", { name: "Remove the zone" }).click();
      // A domain in it would make it again: that one has to let go first.
      await page.getByRole("link", { name: "Set-up of shop.example.com" }).waitFor();
      await picture(page, "zone-held");
      await accessible(page, "zone in use");
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      await ew.api("PATCH", D, { dns: "manual" });
      await page.reload();
      await records(page);
      await page.getByRole("main").getByRole("button", { name: "Settings" }).click();
      await page.getByRole("button", { name: "Remove the zone" }).click();
      const dialog = page.getByRole("dialog", { name: "Remove the zone example.com" });
      await dialog.getByText(/^\d+ sets of records$/).waitFor();
      assert.ok(await dialog.getByRole("button", { name: "Remove the zone" }).isDisabled());
      await picture(page, "zone-remove");
      await accessible(page, "removal of a zone");
      await dialog.getByRole("textbox").fill("example.com");
      await dialog.getByRole("button", { name: "Remove the zone" }).click();
      await page.getByText("example.com removed").waitFor();
      await page.getByRole("heading", { name: "The DNS of this domain is not managed here" }).waitFor();
    },
    { allow: /status of 404/ },
  );
});
