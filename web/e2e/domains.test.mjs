import assert from "node:assert/strict";
import { after, test } from "node:test";
import { nameServer } from "./dns.mjs";
import { accessible, clipboard, edgewright, picture } from "./harness.mjs";

const dns = await nameServer();
after(() => dns.close());
const P = "/api/v1/infrastructure";
let origin;

const ew = edgewright({
  flags: ["--demo", "--issuer", "local", "--resolvers", dns.address, "--no-registry-lookups"],
  async setup({ until }) {
    const { domains } = await until(`${P}/domains`, ({ domains }) => domains[0]?.status === "active");
    origin = domains[0].origin;
  },
});

const serving = (d) => d.status === "active" && d.conditions.some((c) => c.type === "Serving" && c.status === "true");

test("adds a name that needs no proof, from form to a served site", async () => {
  await ew.look("domain-add", "/domains/add", (page) => page.getByLabel("Domain", { exact: true }).waitFor());
  await ew.page("/domains/add", async (page) => {
    await page.getByLabel("Domain", { exact: true }).fill("192.0.2.1");
    await page.getByLabel("Origin", { exact: true }).fill("http://host/path");
    await page.getByRole("button", { name: "Add domain" }).click();
    await page.getByText(/This is an IP address/).waitFor();
    await picture(page, "domain-add-invalid");
    await accessible(page, "invalid form");
    await page.getByLabel("Domain", { exact: true }).fill("https://Shop.localhost/cart?x=1");
    await page.getByRole("button", { name: "Use it" }).click();
    assert.equal(await page.getByLabel("Domain", { exact: true }).inputValue(), "shop.localhost");
    await page.getByLabel("Origin", { exact: true }).fill(origin);
    await page.getByRole("button", { name: "Add domain" }).click();
    await page.getByRole("heading", { name: "shop.localhost is live" }).waitFor();
    await picture(page, "domain-add-live");
    await accessible(page, "live");
    await page.getByRole("link", { name: "Go to the domain" }).click();
    await page.getByRole("heading", { name: "shop.localhost", exact: true }).waitFor();
  });
  assert.equal(await ew.visit("shop.localhost"), 200);
});

test("the same name again is refused where it was typed", async () => {
  await ew.page(
    "/domains/add",
    async (page) => {
      await page.getByLabel("Domain", { exact: true }).fill("shop.localhost");
      await page.getByLabel("Origin", { exact: true }).fill(origin);
      await page.getByRole("button", { name: "Add domain" }).click();
      await page.getByRole("alert").waitFor();
      await accessible(page, "refused name");
    },
    { allow: /status of (409|422)/ },
  );
});

test("a public name: records to copy, what resolvers answer, check now, and on by itself once proven", async () => {
  await ew.api("POST", `${P}/domains`, { domain: "shop.example.com", origin });
  const ready = (page) => page.getByRole("heading", { name: "Prove that the name is yours" }).waitFor();
  await ew.look("domain-setup", "/domains/add?domain=shop.example.com", ready);
  await ew.page("/domains/add?domain=shop.example.com", async (page) => {
    await ready(page);
    await page.getByText(dns.address).first().waitFor(); // this resolver's answer
    await page.getByRole("button", { name: "Copy _edgewright-challenge.shop", exact: true }).click();
    assert.equal(await clipboard(page), "_edgewright-challenge.shop");
    const { domain_config: d } = await ew.api("GET", `${P}/domains/shop.example.com`);
    const record = d.verification.records.find((r) => r.type === "TXT");
    await page.getByRole("button", { name: `Copy ${record.value}` }).click();
    assert.equal(await clipboard(page), record.value);

    await page.getByRole("button", { name: "Check now" }).click();
    await page.getByText("Not found yet.", { exact: true }).waitFor();
    await page.getByText("File", { exact: true }).click();
    await page.getByText("With exactly this content").waitFor();
    await picture(page, "domain-setup-file");
    await accessible(page, "file proof");
    await page.getByText("DNS record", { exact: true }).click();

    dns.set("TXT", record.full_name, record.value);
    await page.getByRole("button", { name: "Check now" }).click();
    await page.getByRole("list", { name: "Set-up" }).getByText("Verified by DNS").waitFor();
    await page
      .getByRole("list", { name: "Set-up" })
      .getByText(/^Valid/)
      .waitFor();
    await picture(page, "domain-setup-proven");
  });
});

test("lists, filters, sorts, in the address", async () => {
  await ew.until(`${P}/domains/shop.localhost`, ({ domain_config }) => serving(domain_config));
  await ew.look("domains", "/domains", (page) =>
    page.getByRole("link", { name: "shop.example.com", exact: true }).waitFor(),
  );
  await ew.page("/domains", async (page) => {
    const names = () => page.locator("tbody tr td:first-child a:first-child").allInnerTexts();
    await page.getByRole("link", { name: "shop.localhost", exact: true }).waitFor();
    assert.deepEqual(await names(), ["demo.localhost", "shop.example.com", "shop.localhost"]);
    await page.getByRole("button", { name: "Domain", exact: true }).click();
    await page.waitForURL(/sort=-domain/);
    assert.deepEqual(await names(), ["shop.localhost", "shop.example.com", "demo.localhost"]);
    await page.getByPlaceholder("Filter by name, origin or CDN").fill("shop.l");
    await page.waitForURL(/q=shop\.l/);
    assert.deepEqual(await names(), ["shop.localhost"]);
    await page.reload();
    await page.getByRole("link", { name: "shop.localhost", exact: true }).waitFor();
    assert.deepEqual(await names(), ["shop.localhost"]);
  });
  await ew.look("domains-empty", "/domains?environment=staging", (page) =>
    page.getByRole("heading", { name: "No domains yet" }).waitFor(),
  );
});

test("shows a domain from every side", async () => {
  const heading = (page) => page.getByRole("heading", { name: "demo.localhost", exact: true }).waitFor();
  await ew.look("domain", "/domains/demo.localhost", async (page) => {
    await heading(page);
    await page.getByRole("table", { name: "Conditions" }).waitFor();
    await page.getByRole("table", { name: "Last changes" }).waitFor();
  });
  await ew.look("domain-dns", "/domains/shop.example.com?tab=dns", (page) =>
    page.getByText("What resolvers answer now").first().waitFor(),
  );
  await ew.look("domain-certificate", "/domains/demo.localhost?tab=certificate", async (page) => {
    await heading(page);
    await page.getByText("SHA-256 fingerprint").waitFor();
    await page.getByText("1 of 1 edges serve it, as last seen").waitFor();
    await page.getByRole("link", { name: "Open the certificate" }).waitFor();
  });
  await ew.look("domain-origin", "/domains/demo.localhost?tab=origin", async (page) => {
    await page.getByRole("table", { name: "Origins" }).waitFor();
  });
  await ew.look("domain-cache", "/domains/demo.localhost?tab=cache", (page) => page.getByLabel("Paths").waitFor());
  await ew.look("domain-settings", "/domains/demo.localhost?tab=settings", (page) =>
    page.getByText("Redirect HTTP to HTTPS").waitFor(),
  );
});

test("changes an origin: edit, difference, apply once more, rollout, revert", async () => {
  await ew.page("/domains/shop.localhost?tab=origin", async (page) => {
    await page.getByRole("button", { name: "Edit origins" }).click();
    await page.getByLabel("URL").fill("ftp://wrong");
    await page.getByRole("button", { name: "Review the change" }).click();
    await page.getByText("Only http and https.").waitFor();
    await picture(page, "origin-edit");
    await page.getByLabel("URL").fill("http://127.0.0.1:9");
    await page.getByRole("button", { name: "Review the change" }).click();
    await page.getByText("/origins/0/url").waitFor();
    await page.getByLabel("Reason").fill("trying the other server");
    await picture(page, "origin-review");
    await accessible(page, "review");
    await page.getByRole("button", { name: "Apply", exact: true }).click();
    await page.getByText("This changes production.").waitFor();
    await page.getByRole("button", { name: "Apply to production" }).click();
    await page
      .getByRole("table", { name: "On each edge" })
      .getByText(/Verified|Applied/)
      .first()
      .waitFor();
    await picture(page, "origin-applied");
    await accessible(page, "applied");
    await page.getByRole("button", { name: "Revert" }).click();
    await page.getByText(/Reverted as revision/).waitFor();
  });
  const { domain_config: d } = await ew.api("GET", `${P}/domains/shop.localhost`);
  assert.equal(d.origin, origin);
});

test("changes how a domain is served, and refuses what is stale", async () => {
  await ew.page(
    "/domains/shop.localhost?tab=settings",
    async (page) => {
      await page.getByRole("switch", { name: "Redirect HTTP to HTTPS" }).click();
      await page.getByRole("button", { name: "Review the change" }).click();
      await page.getByText("/redirect_https").waitFor();
      await ew.api("PATCH", `${P}/domains/shop.localhost`, { hsts: { max_age: 300 } }); // somebody else was faster
      await page.getByRole("button", { name: "Apply", exact: true }).click();
      await page.getByRole("button", { name: "Apply to production" }).click();
      await page.getByRole("alert").filter({ hasText: "Not applied." }).waitFor();
      await picture(page, "settings-stale");
    },
    { allow: /status of 412/ },
  );
});

test("purges paths and everything, with what the edges report", async () => {
  await ew.visit("demo.localhost", "/gallery");
  await ew.page("/domains/demo.localhost?tab=cache", async (page) => {
    await page.getByLabel("Paths").fill("gallery");
    await page.getByRole("button", { name: "Purge paths" }).click();
    await page.getByText(/is neither a path nor a URL/).waitFor();
    await page.getByLabel("Paths").fill("/gallery\n/images/*");
    await page.getByRole("button", { name: "Purge paths" }).click();
    await page.getByText("No edge serves the old responses any more.").waitFor();
    await page.getByText(/1\/1 edge · \d+ stored response/).waitFor();
    await picture(page, "purge-done");
    await accessible(page, "purge");
    await page.getByRole("button", { name: "Purge everything" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox").fill("demo.localhos");
    assert.ok(await dialog.getByRole("button", { name: "Purge everything" }).isDisabled());
    await picture(page, "purge-all");
    await accessible(page, "purge everything");
    await dialog.getByRole("textbox").fill("demo.localhost");
    await dialog.getByRole("button", { name: "Purge everything" }).click();
    await dialog.waitFor({ state: "detached" });
    await page.getByText("No edge serves the old responses any more.").waitFor();
  });
});

test("removes a domain by its name, and undoes it", async () => {
  await ew.page("/domains/shop.localhost?tab=settings", async (page) => {
    await page.getByRole("button", { name: "Remove domain" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox").fill("shop.localhost");
    await picture(page, "domain-remove");
    await accessible(page, "remove");
    await dialog.getByRole("button", { name: "Remove domain" }).click();
    await page.getByRole("heading", { name: "Domains", level: 1 }).waitFor();
    await page.getByText("shop.localhost removed").waitFor();
    await page.getByRole("link", { name: "shop.localhost", exact: true }).waitFor({ state: "detached" });
    await picture(page, "domain-removed");
    await accessible(page, "undo");
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("Taken back").waitFor();
    await page.getByRole("link", { name: "shop.localhost", exact: true }).waitFor();
  });
});

test("says what failed and recovers", async () => {
  await ew.lookAtErrors("domains", "/domains", (page) =>
    page.getByRole("link", { name: "demo.localhost", exact: true }).waitFor(),
  );
  await ew.lookAtErrors("domain", "/domains/demo.localhost", (page) =>
    page.getByRole("tab", { name: "Origin" }).waitFor(),
  );
  await ew.page(
    "/domains/none.example",
    async (page) => {
      await page.getByRole("heading", { name: "There is no such domain here" }).waitFor();
      await picture(page, "domain-missing");
      await accessible(page, "missing domain");
    },
    { allow: /status of 404/ },
  );
});
