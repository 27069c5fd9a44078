import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { accessible, clipboard, edgewright, lookAt, picture } from "./harness.mjs";

const P = "/api/v1/infrastructure";
const demo = "/certificates/demo.localhost";
const at = (tab) => `${demo}?tab=${tab}`;

const ew = edgewright({
  async setup({ until }) {
    await until(`${P}/domains`, ({ domains }) => domains[0]?.status === "active");
    // The score is of what an edge has seen, which looks after some seconds.
    await until(`${P}/ssl/demo.localhost`, ({ certificate }) => certificate.served?.length > 0);
  },
});

const listed = (page) =>
  page.getByRole("table", { name: "Certificates" }).getByText("Valid", { exact: true }).waitFor();

/** Applies what is reviewed, which production asks about once more. */
async function apply(page) {
  await page.getByRole("button", { name: "Apply", exact: true }).click();
  await page.getByRole("button", { name: "Apply to production" }).click();
}

/** What a download holds, and under which name. */
async function downloaded(page, click) {
  const [download] = await Promise.all([page.waitForEvent("download"), click()]);
  return { name: download.suggestedFilename(), content: readFileSync(await download.path()) };
}

/** Certificates in every state: what this binary has, and what takes months elsewhere. */
async function inEveryState() {
  const { certificates } = await ew.api("GET", `${P}/ssl`);
  const [base] = certificates;
  const soon = (days) => new Date(Date.now() + days * 86_400_000).toISOString();
  const one = (domain, over) => ({ ...base, id: `crt_${domain}`, domain, domains: [domain], names: [domain], ...over });
  return [
    base,
    one("old.example.com", {
      type: "lets_encrypt",
      issuer: "R11",
      state: "expiring",
      days_left: 5,
      not_after: soon(5),
    }),
    one("new.example.com", {
      state: "issuing",
      step: "validating",
      started_at: soon(0),
      names: [],
      days_left: undefined,
    }),
    one("lost.example.com", {
      state: "failed",
      names: [],
      days_left: undefined,
      not_after: undefined,
      reason: "CAA forbids it",
      fix: "add a record",
      next_attempt: soon(0.1),
    }),
    one("bank.example.com", {
      type: "custom",
      issuer: "DigiCert",
      auto_renew: false,
      days_left: 200,
      renew_at: undefined,
    }),
  ];
}

test("lists certificates, those that expire first on top, filtered by state, and leads to each", async () => {
  const certificates = await inEveryState();
  const names = (page) => page.locator("tbody tr td:first-child a").allInnerTexts();
  await ew.page(
    "/certificates",
    async (page) => {
      await page.getByRole("link", { name: "old.example.com" }).waitFor();
      const all = await names(page);
      assert.equal(all[0], "lost.example.com");
      assert.ok(all.indexOf("old.example.com") < all.indexOf("bank.example.com"));
      await lookAt(page, "certificates");
      await page.getByRole("combobox", { name: "State" }).click();
      await page.getByRole("option", { name: "Failed (1)" }).click();
      await page.waitForURL(/state=failed/);
      assert.deepEqual(await names(page), ["lost.example.com"]);
    },
    {
      prepare: (page) =>
        page.route(/\/infrastructure\/ssl\?/, (r) => r.fulfill({ json: { certificates, next_cursor: "" } })),
    },
  );
  await ew.page("/certificates", async (page) => {
    await listed(page);
    await page.getByPlaceholder("Filter by name or issuer").fill("nothing-like-it");
    await page.getByRole("heading", { name: "Nothing matches" }).waitFor();
    await picture(page, "certificates-no-results");
    await page.getByRole("button", { name: "Clear the filter" }).last().click();
    await page.getByRole("link", { name: "demo.localhost" }).click();
    await page.getByText("SHA-256 fingerprint").waitFor();
    await page.getByRole("link", { name: "How to trust it" }).click();
    await page.getByRole("heading", { name: "Local certificate authority" }).waitFor();
  });
});

test("an environment without certificates says when there will be some; failures recover", async () => {
  await ew.page("/certificates?environment=staging", async (page) => {
    await page.getByRole("heading", { name: "No certificates yet" }).waitFor();
    await picture(page, "certificates-empty");
    await accessible(page, "no certificates");
  });
  await ew.page(
    "/certificates/none.example.com",
    async (page) => {
      await page.getByRole("heading", { name: "There is no such domain here" }).waitFor();
      await lookAt(page, "certificate-missing");
    },
    { allow: /status of 404/ },
  );
  await ew.api("POST", "/api/v1/infrastructure/domains", { domain: "none.example.com", origin: "http://127.0.0.1:1" });
  await ew.page(
    "/certificates/none.example.com",
    async (page) => {
      await page.getByRole("heading", { name: "No certificate yet" }).waitFor();
      await lookAt(page, "certificate-none");
    },
    { allow: /status of 404/ },
  );
  await ew.api("DELETE", "/api/v1/infrastructure/domains/none.example.com");
  await ew.lookAtErrors("certificates", "/certificates", listed);
});

test("shows a certificate from every side: facts and score, chain, edges", async () => {
  await ew.look("certificate", demo, async (page) => {
    await page.getByText("SHA-256 fingerprint").waitFor();
    await page.getByRole("img", { name: /^Grade / }).waitFor();
  });
  await ew.page(at("chain"), async (page) => {
    await page.getByText(/which clients have to know/).waitFor();
    await lookAt(page, "certificate-chain");
    await page.getByRole("button", { name: "Copy the chain in PEM" }).click();
    await page.getByRole("status").filter({ hasText: "Copied" }).waitFor();
    const copied = await clipboard(page);
    const { name, content } = await downloaded(page, () =>
      page.getByRole("button", { name: "Download the chain" }).click(),
    );
    assert.equal(name, "demo.localhost.pem");
    assert.equal(content.toString(), copied);
    assert.match(copied, /^-----BEGIN CERTIFICATE-----/);
  });
  await ew.look("certificate-edges", at("edges"), (page) =>
    page.getByRole("table", { name: "Served at the edges" }).getByText("This certificate").first().waitFor(),
  );
});

test("looks whether it could be issued, and renews", async () => {
  const { certificate: before } = await ew.api("GET", `${P}/ssl/demo.localhost`);
  await ew.page(
    demo,
    async (page) => {
      await page.getByRole("button", { name: "Look now" }).click();
      await page.getByText(/An authority could issue now|No authority could issue now/).waitFor();
      await page.getByRole("table", { name: "Could it be issued now?" }).waitFor();
      await picture(page, "certificate-preflight");
      await accessible(page, "preflight");
      await page.getByRole("button", { name: "Renew now" }).click();
      await page.getByText("A new certificate is on its way").waitFor();
    },
    { allow: /status of 503/ },
  );
  const { certificate: after } = await ew.until(
    `${P}/ssl/demo.localhost`,
    ({ certificate }) => certificate.fingerprint !== before.fingerprint,
  );
  assert.equal(after.state, "valid");
});

test("settings: refused where it was typed, then edit, difference, apply", async () => {
  await ew.page(
    at("settings"),
    async (page) => {
      await page.getByRole("switch", { name: "Renew by itself" }).waitFor();
      await lookAt(page, "certificate-settings");
      await page.getByRole("textbox", { name: "Names" }).fill("demo.localhost\nnot a name!");
      await page.getByRole("button", { name: "Review the change" }).click();
      await page
        .getByText(/is not a domain name/)
        .first()
        .waitFor();
      await page.getByRole("textbox", { name: "Names" }).fill("demo.localhost");
      await page.getByRole("switch", { name: "Keep the key across renewals" }).click();
      await page.getByRole("button", { name: "Review the change" }).click();
      await page.getByText("/pin_key").waitFor();
      await apply(page);
      await page.getByText("Applied. The edges are taking it up.").waitFor();
    },
    { allow: /status of 422/ },
  );
  const { certificate } = await ew.api("GET", `${P}/ssl/demo.localhost`);
  assert.equal(certificate.pin_key, true);
});

test("a request is made, shown, copied; an upload is read while it is pasted, checked, and served", async () => {
  await ew.page(
    at("own"),
    async (page) => {
      await page.getByRole("heading", { name: "No requests yet" }).waitFor();
      await lookAt(page, "certificate-own");
      await page.getByRole("button", { name: "Make a request" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByRole("textbox", { name: "Country" }).fill("D1");
      await dialog.getByRole("button", { name: "Make it" }).click();
      await dialog.getByText("Two letters, such as DE.").waitFor();
      await picture(page, "certificate-request");
      await accessible(page, "request form");
      await dialog.getByRole("textbox", { name: "Country" }).fill("de");
      await dialog.getByRole("textbox", { name: "Organization" }).fill("Example GmbH");
      await dialog.getByRole("button", { name: "Make it" }).click();
      await page.getByText(/-----BEGIN CERTIFICATE REQUEST-----/).waitFor();
      await picture(page, "certificate-request-made");
      await accessible(page, "request");
      await page.getByRole("button", { name: "Copy the request" }).click();
      await page.getByRole("status").filter({ hasText: "Copied" }).waitFor();
      assert.match(await clipboard(page), /^-----BEGIN CERTIFICATE REQUEST-----/);

      // One with a key, which this page reads before anything is sent: the present one, taken out.
      const own = await ew.api("POST", `${P}/ssl/demo.localhost/export`, {});
      const chain = page.getByRole("textbox", { name: "Certificate and intermediates" });
      const seen = page.getByRole("region", { name: "What can be told so far" });
      await page.getByRole("button", { name: "Check it" }).click();
      await page.getByText("Paste the certificate: it begins").waitFor();
      await chain.fill(own.chain_pem);
      await seen.getByText("No key yet.").waitFor();
      await seen.getByText(/^For .*demo\.localhost/).waitFor();
      await page.getByRole("button", { name: "Check it" }).click(); // no request made here fits it
      await page
        .getByText(/request/)
        .first()
        .waitFor();
      await page.getByRole("textbox", { name: "Private key" }).fill(own.key_pem);
      await seen.getByText("The key belongs to it.").waitFor();
      await picture(page, "certificate-upload");
      await accessible(page, "upload");
      await page.getByRole("button", { name: "Check it" }).click();
      await page.getByText("/type", { exact: true }).waitFor();
      await picture(page, "certificate-upload-review");
      await accessible(page, "upload review");
      await apply(page);
      await page.getByText("Applied. The edges are taking it up.").waitFor();
    },
    { allow: /status of (422|409|404)/ },
  );
  await ew.until(`${P}/ssl/demo.localhost`, ({ certificate }) => certificate.uploaded === true);
});

/** What an authority of somebody else's makes of a request: the certificate and its root. */
function sign(request) {
  const folder = mkdtempSync(join(tmpdir(), "edgewright-sign-"));
  const at = (name) => join(folder, name);
  const openssl = (...args) => execFileSync("openssl", args, { stdio: "pipe" });
  try {
    writeFileSync(at("csr"), request);
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", at("ca.key")];
    openssl("req", "-x509", ...key, "-out", at("ca.pem"), "-days", "30", "-subj", "/CN=Somebody Else CA");
    const ca = ["-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial"];
    openssl("x509", "-req", "-in", at("csr"), ...ca, "-days", "20", "-copy_extensions", "copy", "-out", at("pem"));
    return readFileSync(at("pem"), "utf8") + readFileSync(at("ca.pem"), "utf8");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("brings back what an authority made of a request, then a file with a password", async () => {
  const before = await ew.api("POST", `${P}/ssl/demo.localhost/export`, { password: "a password of words" });
  const { requests } = await ew.api("GET", `${P}/ssl/demo.localhost/csr`);
  await ew.page(
    at("own"),
    async (page) => {
      await page.getByRole("textbox", { name: "Certificate and intermediates" }).fill(sign(requests[0].csr_pem));
      await page.getByRole("button", { name: "Check it" }).click();
      await page.getByRole("button", { name: "Apply", exact: true }).waitFor();
      await picture(page, "certificate-signed-review");
      await accessible(page, "review of a signed request");
      await apply(page);
      await ew.until(`${P}/ssl/demo.localhost`, ({ certificate }) => certificate.issuer === "Somebody Else CA");
      await page.getByRole("button", { name: "Edit again" }).click();

      await page.getByText("PKCS #12", { exact: true }).click();
      await page.getByRole("button", { name: "Check it" }).click();
      await page.getByText("Choose a file.", { exact: true }).waitFor();
      await page
        .locator('main input[type="file"]')
        .setInputFiles({ name: "demo.p12", mimeType: "", buffer: Buffer.from(before.pkcs12, "base64") });
      await page.getByText("Chosen: demo.p12").waitFor();
      await page.getByLabel("Password of the file").fill("another password");
      await page.getByRole("button", { name: "Check it" }).click();
      await page.locator(".mantine-InputWrapper-error", { hasText: "does not open the file" }).waitFor();
      await lookAt(page, "certificate-p12-refused");
      await page.getByLabel("Password of the file").fill("a password of words");
      await page.getByRole("button", { name: "Check it" }).click();
      await apply(page);
      await ew.until(`${P}/ssl/demo.localhost`, ({ certificate }) => certificate.issuer !== "Somebody Else CA");
    },
    { allow: /status of 422/ },
  );
});

test("revokes: another is issued first, after the name was typed", async () => {
  const { domains } = await ew.api("GET", `${P}/domains`);
  await ew.api("POST", `${P}/domains`, { domain: "old.localhost", origin: domains[0].origin });
  const one = ({ certificates }) => certificates.find((c) => c.domain === "old.localhost" && c.state === "valid");
  const old = one(await ew.until(`${P}/ssl`, one));
  await ew.page(
    "/certificates/old.localhost",
    async (page) => {
      await page.getByRole("button", { name: "Revoke" }).click();
      const dialog = page.getByRole("dialog", { name: "Revoke the certificate of old.localhost" });
      await dialog.getByRole("combobox", { name: "Why" }).click();
      await page.getByRole("option", { name: "The key was compromised" }).click();
      await dialog.getByRole("textbox", { name: /To confirm/ }).fill("old.localhost");
      await lookAt(page, "certificate-revoke");
      await dialog.getByRole("button", { name: "Revoke" }).click();
      await dialog.waitFor({ state: "detached" });
      await ew.until(`${P}/ssl`, (answer) => one(answer) && one(answer).fingerprint !== old.fingerprint);
    },
    { allow: /status of 503/ },
  ); // no edge has looked at it yet, so it has no score
});

test("exports with the key after the name was typed, and the audit log has it", async () => {
  await ew.page(demo, async (page) => {
    await page.getByRole("button", { name: "Export" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox", { name: /To confirm/ }).fill("demo.localhost");
    await dialog.getByRole("button", { name: "Export with the key" }).click();
    await dialog.locator(".mantine-InputWrapper-error", { hasText: "At least 12 characters." }).waitFor();
    await picture(page, "certificate-export");
    await accessible(page, "export");
    await dialog.getByLabel("Password", { exact: true }).fill("a password of words");
    const { name, content } = await downloaded(page, () =>
      dialog.getByRole("button", { name: "Export with the key" }).click(),
    );
    assert.equal(name, "demo.localhost.p12");
    assert.equal(content[0], 0x30); // a DER sequence
    await dialog.waitFor({ state: "detached" });
  });
  const { records } = await ew.api("GET", "/api/v1/audit?limit=10");
  assert.ok(records.some((e) => e.action === "certificate.export"));
});

test("authorities: budget and state, added, refused where it was typed, removed by name", async () => {
  await ew.page(
    "/certificates?view=authorities",
    async (page) => {
      await page.getByRole("button", { name: "Add an authority" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByRole("textbox", { name: "Name", exact: true }).fill("second");
      await dialog.getByRole("textbox", { name: "ACME directory" }).fill("ftp://wrong");
      await dialog.getByRole("button", { name: "Save" }).click();
      await dialog.locator(".mantine-InputWrapper-error").first().waitFor();
      await picture(page, "authority-add");
      await accessible(page, "authority form");
      await dialog.getByRole("textbox", { name: "ACME directory" }).fill("https://acme.example.org/directory");
      await dialog.getByRole("button", { name: "Save" }).click();
      await page.getByText("second saved").waitFor();
      await page.getByRole("button", { name: "Details of second" }).click();
      await page.getByRole("button", { name: "Change", exact: true }).click();
      const change = page.getByRole("dialog", { name: "Change second" });
      await change.getByRole("switch", { name: "Rehearse first" }).click();
      const orders = change.getByRole("textbox", { name: "At most: orders" });
      await orders.fill("many");
      await change.getByRole("switch", { name: "Switched off" }).click();
      await change.getByText(/^second issues and renews no more/).waitFor();
      await change.getByRole("button", { name: "Save" }).click();
      await change.getByText("Say so, or leave it switched on.").waitFor();
      await change.getByText("Enter the URL.").waitFor();
      await change.getByRole("checkbox", { name: "Nothing is ordered there from now on" }).check();
      await change
        .getByRole("textbox", { name: "Directory for rehearsals" })
        .fill("https://twin.example.org/directory");
      await change.getByRole("button", { name: "Save" }).click();
      await change
        .getByText(/^Write how many/)
        .first()
        .waitFor();
      await lookAt(page, "authority-change");
      await orders.fill("7");
      await change.getByRole("textbox", { name: "In hours: orders" }).fill("24");
      await change.getByRole("button", { name: "Save" }).click();
      await change.waitFor({ state: "detached" });
      await page.getByText("7 orders in", { exact: false }).first().waitFor();
      await page.getByText("https://acme.example.org/directory").waitFor();
      await lookAt(page, "authorities");
      await page.getByRole("button", { name: "Remove", exact: true }).click();
      const confirm = page.getByRole("dialog", { name: "Remove second" });
      await confirm.getByRole("textbox").fill("second");
      await confirm.getByRole("button", { name: "Remove" }).click();
      await page.getByText("second removed").waitFor();
      await page.getByRole("button", { name: "Details of second" }).waitFor({ state: "detached" });
    },
    { allow: /status of 422/ },
  );
  await ew.lookAtErrors("authorities", "/certificates?view=authorities", (page) =>
    page.getByRole("table", { name: "Certificate authorities" }).waitFor(),
  );
});

test("a mass replacement: counted, kept as a plan, started, ended", async () => {
  await ew.page("/certificates?view=replacements", async (page) => {
    await page.getByRole("heading", { name: "No replacements" }).waitFor();
    await page.getByRole("button", { name: "Plan a replacement" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Count them" }).click();
    await dialog.getByText("Say which certificates, or all.").waitFor();
    await dialog.getByRole("checkbox", { name: "All certificates that were issued" }).click();
    await dialog.getByRole("button", { name: "Count them" }).click();
    await dialog.getByText(/certificates fit; at 50 an hour/).waitFor();
    await picture(page, "replacement-plan");
    await accessible(page, "plan of a replacement");
    await dialog.getByRole("button", { name: "Keep the plan" }).click();
    const state = (name) =>
      page.getByRole("table", { name: "Mass replacements" }).getByText(name).filter({ visible: true });
    await state("Planned").waitFor();
    await page.getByRole("button", { name: /^Start/ }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Start" }).click();
    await state(/Running|Finished/).waitFor();
  });
  // One with much to do, which this machine has not.
  const { replacements } = await ew.api("GET", `${P}/certificate-replacements`);
  const run = { ...replacements[0], state: "running", total: 10_000, done: 3120, running: 12, failing: 2 };
  run.failed = ["a.example.com", "b.example.com"];
  run.expected_at = new Date(Date.now() + 5 * 3_600_000).toISOString();
  delete run.finished_at;
  const asked = [];
  await ew.page(
    "/certificates?view=replacements",
    async (page) => {
      await page.getByText("3120 of 10000").waitFor();
      await lookAt(page, "replacements");
      await page.getByRole("button", { name: /^Pause/ }).click();
      await page.getByRole("button", { name: /^Go on/ }).waitFor();
      await page.getByRole("button", { name: /^End/ }).click();
      await page
        .getByRole("dialog")
        .getByText(/cannot go on/)
        .waitFor();
      await accessible(page, "end of a replacement");
      assert.deepEqual(asked, ["pause"]);
    },
    {
      prepare: (page) =>
        page.route(/\/certificate-replacements(\?|\/)/, (route) => {
          const action = /\/(start|pause|cancel)/.exec(route.request().url())?.[1];
          if (action) {
            asked.push(action);
            run.state = "paused";
            return route.fulfill({ json: { replacement: run } });
          }
          return route.fulfill({ json: { replacements: [run], next_cursor: "" } });
        }),
    },
  );
});
