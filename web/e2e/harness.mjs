/**
 * Drives the dashboard as a person would: the real binary on ports of its own,
 * a real Chromium, nothing in between.
 *
 *   $EDGEWRIGHT_BIN   the binary (default ../bin/edgewright)
 *   $CHROMIUM         the browser (default /usr/bin/chromium)
 *
 * Every page fails its test on a console error, an uncaught exception, and a
 * request that leaves the host. Screenshots go to e2e/screenshots.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = fileURLToPath(new URL(".", import.meta.url));
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const screenshots = join(here, "screenshots");

export const phone = { width: 390, height: 844 };
export const desk = { width: 1360, height: 900 };
export const password = "correct horse battery";

/** Long enough for a busy machine; what is waited for comes in milliseconds. */
const patience = 20_000;

/** Starts the binary and resolves with what its READY line says. */
async function startEdgewright(flags) {
  const binary = resolve(process.env.EDGEWRIGHT_BIN ?? join(here, "../../bin/edgewright"));
  if (!existsSync(binary)) throw new Error(`${binary} does not exist: run \`make build\` first, or set EDGEWRIGHT_BIN`);
  const data = mkdtempSync(join(tmpdir(), "edgewright-e2e-"));
  const token = `ew_${randomBytes(24).toString("hex")}`;
  const any = "127.0.0.1:0";
  const child = spawn(
    binary,
    [
      "up",
      "--data",
      data,
      "--listen-api",
      any,
      "--listen-http",
      any,
      "--listen-https",
      any,
      "--listen-dns",
      any,
      ...flags,
    ],
    { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, EDGEWRIGHT_ADMIN_TOKEN: token } },
  );
  let log = "";
  child.stderr.on("data", (chunk) => {
    log = (log + chunk).slice(-8000);
  });
  const ready = await new Promise((ok, no) => {
    const timer = setTimeout(() => no(new Error(`not READY in time:\n${log}`)), patience);
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (!line.startsWith("READY ")) return;
      clearTimeout(timer);
      ok(JSON.parse(line.slice("READY ".length)));
    });
    child.once("exit", (code) => no(new Error(`edgewright ended with ${code}:\n${log}`)));
  });
  return {
    ...ready,
    token,
    log: () => log,
    async stop() {
      if (child.exitCode === null) {
        child.kill("SIGTERM");
        await once(child, "exit");
      }
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/**
 * One binary and one browser for a test file. Returns a handle whose fields are
 * there once the tests run; `setup` is called with it before the first.
 */
export function edgewright({ flags = ["--demo"], setup } = {}) {
  const handle = { server: null, browser: null, state: undefined };
  before(async () => {
    mkdirSync(screenshots, { recursive: true });
    handle.server = await startEdgewright(flags);
    handle.browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
    await setup?.(handle);
  });
  after(async () => {
    await handle.browser?.close();
    await handle.server?.stop();
  });

  /** Calls the API as the owner. */
  handle.api = async (method, path, body) => {
    const response = await fetch(`${handle.server.dashboard}${path}`, {
      method,
      headers: { authorization: `Bearer ${handle.server.token}`, "content-type": "application/json", "if-match": "*" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? null : JSON.parse(text);
  };

  /** Asks the API until `done` holds for its answer. */
  handle.until = async (path, done) => {
    const deadline = Date.now() + patience;
    for (;;) {
      const answer = await handle.api("GET", path);
      if (done(answer)) return answer;
      assert.ok(Date.now() < deadline, `${path} did not come true: ${JSON.stringify(answer).slice(0, 2000)}`);
      await new Promise((ok) => setTimeout(ok, 100));
    }
  };

  /** One request through the edge, as a visitor's. */
  handle.visit = (host, path = "/") =>
    new Promise((ok, no) => {
      const [, address, port] = /^(.*):(\d+)$/.exec(handle.server.https);
      const call = httpsRequest(
        {
          host: address,
          port,
          path,
          servername: host,
          headers: { host: `${host}:${port}` },
          rejectUnauthorized: false,
        },
        (response) => {
          response.resume();
          response.on("end", () => ok(response.statusCode));
        },
      );
      call.on("error", no);
      call.end();
    });

  /** The first login: spends the link and sets email and password, as the page does. */
  const signIn = async () => {
    if (handle.state) return handle.state;
    const context = await handle.browser.newContext();
    const { dashboard, login } = handle.server;
    const headers = { "X-Edgewright-CSRF": "1", origin: dashboard };
    const link = new URL(login).searchParams.get("link");
    const first = await context.request.post(`${dashboard}/api/v1/login`, { headers, data: { link } });
    assert.equal(first.status(), 200, await first.text());
    const { user } = await first.json();
    const saved = await context.request.put(`${dashboard}/api/v1/account`, {
      headers: { ...headers, "If-Match": `"${user.revision}"` },
      data: { email: "ada@example.com", name: "Ada Lindqvist", password },
    });
    assert.equal(saved.status(), 200, await saved.text());
    handle.state = await context.storageState();
    await context.close();
    return handle.state;
  };

  /**
   * Opens an address in a fresh context and hands it to `body`. `allow` names
   * console errors that the test brings about on purpose.
   */
  handle.page = async (path, body, { scheme = "light", viewport = desk, signedIn = true, allow, prepare } = {}) => {
    const context = await handle.browser.newContext({
      viewport,
      colorScheme: scheme,
      reducedMotion: "reduce",
      permissions: ["clipboard-read", "clipboard-write"],
      ...(signedIn ? { storageState: await signIn() } : {}),
    });
    context.setDefaultTimeout(patience);
    const page = await context.newPage();
    const faults = [];
    page.on("console", (m) => ["error", "warning"].includes(m.type()) && faults.push(`console: ${m.text()}`));
    page.on("pageerror", (e) => faults.push(`uncaught: ${e}`));
    page.on("request", (r) => {
      const url = r.url();
      if (!url.startsWith(handle.server.dashboard) && !/^(data|blob):/.test(url))
        faults.push(`off-host request: ${url}`);
    });
    try {
      await prepare?.(page);
      await page.goto(handle.server.dashboard + path);
      await body(page);
      assert.deepEqual(
        faults.filter((f) => !allow?.test(f)),
        [],
      );
    } catch (error) {
      await page.screenshot({ path: join(screenshots, "FAILED.png"), fullPage: true }).catch(() => undefined);
      if (faults.length > 0) error.message += `\nthe page said:\n${faults.join("\n")}`;
      throw error;
    } finally {
      await context.close();
    }
  };

  /** A screen in light, dark and at phone width: axe, no sideways overflow, a picture of each. */
  handle.look = async (name, path, ready, options = {}) => {
    const ways = [
      ["light", {}],
      ["dark", { scheme: "dark" }],
      ["phone", { viewport: phone }],
    ];
    for (const [way, how] of ways) {
      await handle.page(
        path,
        async (page) => {
          await ready(page);
          await picture(page, `${name}-${way}`);
          await accessible(page, `${name} ${way}`);
          await fits(page);
        },
        { ...options, ...how },
      );
    }
  };

  /** A screen whose API calls fail: an alert with a way to try again, in both schemes, and recovery. */
  handle.lookAtErrors = async (name, path, recovered, match = /\/api\/v1\/(?!session|infrastructure\/events)/) => {
    for (const scheme of ["light", "dark"]) {
      await handle.page(
        path,
        async (page) => {
          const alert = page.getByRole("alert").filter({ hasText: "The database does not answer" }).first();
          await alert.waitFor();
          await picture(page, `${name}-error-${scheme}`);
          await accessible(page, `${name} error ${scheme}`);
          await page.unroute(match);
          // An event of the stream may have brought the data back before the click could.
          await alert
            .getByRole("button", { name: "Try again" })
            .click({ timeout: 2000 })
            .catch(() => undefined);
          await recovered(page);
        },
        {
          scheme,
          allow: /status of 503/,
          prepare: (page) =>
            page.route(match, (route) =>
              route.fulfill({
                status: 503,
                contentType: "application/problem+json",
                body: JSON.stringify({
                  type: "urn:edgewright:problem:unavailable",
                  title: "Not available now",
                  status: 503,
                  code: "unavailable",
                  detail: "the database does not answer: try again in a moment",
                  request_id: "req_e2e",
                }),
              }),
            ),
        },
      );
    }
  };
  return handle;
}

/** A picture for people to look at. */
export async function picture(page, name) {
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
}

/** No violation that axe can find, of what is on the page now. */
export async function accessible(page, what) {
  await page.evaluate(axeSource); // through the debugger, which the page's policy does not bind
  const violations = await page.evaluate(async () => {
    const result = await globalThis.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return result.violations.map(
      (v) =>
        `${v.impact} ${v.id}: ${v.nodes
          .slice(0, 3)
          .map((n) => `${n.target.join(" ")} (${(n.failureSummary ?? "").split("\n").slice(1).join(" ").trim()})`)
          .join("; ")}`,
    );
  });
  assert.deepEqual(violations, [], `accessibility of ${what}`);
}

/** Nothing sticks out sideways. */
export async function fits(page) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(over <= 0, `the page is ${over} px wider than the window`);
}

/** What a copy button put on the clipboard. */
export function clipboard(page) {
  return page.evaluate(() => navigator.clipboard.readText());
}
