import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { edgewright, launch } from "./harness.mjs";

// A visitor's browser rather than the dashboard: it trusts the local root, as a
// person's does after `edgewright trust`, and objects to anything else.
const home = mkdtempSync(join(tmpdir(), "edgewright-e2e-home-"));
after(() => rmSync(home, { recursive: true, force: true }));
let site;

const ew = edgewright({
  async setup({ server, until }) {
    await until("/api/v1/infrastructure/domains", ({ domains }) => domains[0]?.status === "active");
    site = `https://demo.localhost:${/:(\d+)$/.exec(server.https)[1]}`;
    const root = await (await fetch(`${server.dashboard}/api/v1/trust/root.pem`)).text();
    const store = join(home, ".pki", "nssdb");
    mkdirSync(store, { recursive: true });
    writeFileSync(join(home, "root.pem"), root);
    const certutil = (...args) => execFileSync("certutil", ["-d", `sql:${store}`, ...args]);
    certutil("-N", "--empty-password");
    certutil("-A", "-n", "edgewright", "-t", "C,,", "-i", join(home, "root.pem"));
  },
});

/** Opens the site in a browser of its own and tells what it was spoken to in. */
async function visit(args, body) {
  // Localhost names are ::1 to a browser first, where nothing listens: over UDP it does not try the next.
  const there = "--host-resolver-rules=MAP demo.localhost 127.0.0.1";
  const browser = await launch({ args: [there, ...args], env: { ...process.env, HOME: home } });
  try {
    const page = await browser.newPage();
    const faults = [];
    page.on("pageerror", (e) => faults.push(String(e)));
    const response = await page.goto(`${site}/gallery`);
    await body(page, response);
    assert.deepEqual(faults, []);
  } finally {
    await browser.close();
  }
}

const protocol = (page) => page.evaluate(() => performance.getEntriesByType("navigation")[0].nextHopProtocol);

test("a browser opens the site through the edge over HTTP/2, trusting the chain that it is served", async () => {
  await visit(["--disable-quic"], async (page, response) => {
    assert.equal(response.status(), 200);
    assert.equal(await protocol(page), "h2");
    const tls = await response.securityDetails();
    assert.equal(tls.protocol, "TLS 1.3");
    assert.match(tls.issuer, /Edgewright local/);
    const { certificate } = await ew.api("GET", "/api/v1/infrastructure/ssl/demo.localhost");
    assert.equal(tls.validTo, Date.parse(certificate.not_after) / 1000);
    const images = page.locator("img");
    await images.first().waitFor();
    assert.ok(await images.first().evaluate((img) => img.decode().then(() => img.naturalWidth > 0)));
  });
});

test("the same over HTTP/3", async () => {
  const origin = site.replace("https://", "");
  await visit([`--origin-to-force-quic-on=${origin}`], async (page, response) => {
    assert.equal(response.status(), 200);
    assert.equal(await protocol(page), "h3");
  });
});

test("a browser that does not know the root refuses", async () => {
  const browser = await launch({ args: ["--disable-quic"] });
  try {
    const page = await browser.newPage();
    await assert.rejects(page.goto(site), /ERR_CERT_AUTHORITY_INVALID/);
  } finally {
    await browser.close();
  }
});
