/**
 * Drives the dashboard as a person would: the real binary on ports of its own,
 * a real Chromium, nothing in between.
 *
 *   $EDGEWRIGHT_BIN   the binary (default ../bin/edgewright)
 *   $CHROMIUM         the browser (default /usr/bin/chromium)
 *   $PICTURES         set: pictures of the screens go to e2e/screenshots, for people to look at
 *
 * Every page fails its test on a console error, an uncaught exception, and a
 * request that leaves the host. A test that failed leaves FAILED-<file>.png behind.
 *
 * Files run beside each other, each with a server, a browser and ports of its own.
 *
 * What takes long is starting a renderer and compiling the dashboard in it, so
 * the tests of a file share one tab. Each use of it is a full load, with
 * cookies, storage, routes and media as a fresh context has them.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
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

/** Starts Debian's Chromium, or the one that is named. */
export function launch({ args = [], env = process.env } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    env,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...args,
    ],
  });
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
    handle.browser = await launch({ args: ["--disable-quic"] });
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

  const newContext = (state) =>
    handle.browser.newContext({
      viewport: desk,
      reducedMotion: "reduce",
      permissions: ["clipboard-read", "clipboard-write"],
      ...(state ? { storageState: state } : {}),
    });

  /** The shared tabs: one as it is, one with a clock that can be moved on, which cannot be undone. */
  const tabs = new Map();
  const tabOf = async (kind) => {
    const state = await signIn();
    const kept = tabs.get(kind);
    if (kept) {
      // Not setStorageState: that empties the cache too, and opens another tab to do it in. Written over and
      // not cleared first: the last document is still there, and would be refused in between.
      await kept.context().addCookies(state.cookies);
      return kept;
    }
    const context = await newContext(state);
    if (kind === "clock") await context.clock.install();
    const page = await context.newPage();
    tabs.set(kind, page);
    return page;
  };

  /**
   * Opens an address and hands the page to `body`. `allow` names console errors
   * that the test brings about on purpose.
   */
  handle.page = async (
    path,
    body,
    { scheme = "light", viewport = desk, signedIn = true, clock = false, allow, prepare } = {},
  ) => {
    const kind = clock ? "clock" : "plain";
    const page = signedIn ? await tabOf(kind) : await (await newContext()).newPage();
    page.setDefaultTimeout(patience);
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize(viewport);
    const faults = [];
    const onConsole = (m) =>
      ["error", "warning"].includes(m.type()) && faults.push(`console: ${m.text()} ${m.location().url}`);
    const onError = (e) => faults.push(`uncaught: ${e}`);
    const onRequest = (r) => {
      const url = r.url();
      if (!url.startsWith(handle.server.dashboard) && !/^(data|blob):/.test(url))
        faults.push(`off-host request: ${url}`);
    };
    // What was heard up to here is the last document's.
    const onNavigated = (frame) => {
      if (frame !== page.mainFrame()) return;
      page.off("framenavigated", onNavigated);
      faults.length = 0;
    };
    page.on("console", onConsole).on("pageerror", onError).on("request", onRequest).on("framenavigated", onNavigated);
    let failed = true;
    try {
      await prepare?.(page);
      await page.goto(handle.server.dashboard + path, { waitUntil: "commit" });
      await body(page);
      assert.deepEqual(
        faults.filter((f) => !allow?.test(f)),
        [],
      );
      failed = false;
    } catch (error) {
      await page
        .screenshot({ path: join(screenshots, `FAILED-${basename(process.argv[1], ".test.mjs")}.png`), fullPage: true })
        .catch(() => undefined);
      if (faults.length > 0) error.message += `\nthe page said:\n${faults.join("\n")}`;
      throw error;
    } finally {
      page.off("console", onConsole).off("pageerror", onError).off("request", onRequest);
      page.off("framenavigated", onNavigated);
      if (signedIn && !failed) {
        await page.evaluate(() => {
          localStorage.clear();
          sessionStorage.clear();
        });
        await page.unrouteAll({ behavior: "ignoreErrors" });
      } else {
        tabs.delete(signedIn ? kind : "");
        await page.context().close();
      }
    }
  };

  /** A screen in light, dark and at phone width: axe, no sideways overflow, a picture of each. */
  handle.look = (name, path, ready, options = {}) =>
    handle.page(
      path,
      async (page) => {
        await ready(page);
        await lookAt(page, name);
      },
      options,
    );

  /** A screen whose API calls fail: an alert with a way to try again, in both schemes, and recovery. */
  handle.lookAtErrors = (name, path, recovered, match = /\/api\/v1\/(?!session|infrastructure\/events)/) =>
    handle.page(
      path,
      async (page) => {
        const alert = page.getByRole("alert").filter({ hasText: "The database does not answer" }).first();
        // The dashboard tries again by itself before it says so: its waits are skipped.
        for (let tries = 0; tries < 5 && !(await alert.isVisible()); tries++) {
          const answered = page.waitForResponse(match, { timeout: 1000 }).catch(() => undefined);
          await page.clock.fastForward(3000);
          await Promise.race([alert.waitFor(), answered]);
        }
        await alert.waitFor();
        await picture(page, `${name}-error-light`);
        await accessible(page, `${name} error light`);
        await inScheme(page, "dark");
        await picture(page, `${name}-error-dark`);
        await accessible(page, `${name} error dark`, colours);
        await page.unroute(match);
        // An event of the stream may bring the data back before the click can.
        await Promise.race([
          alert.getByRole("button", { name: "Try again" }).click(),
          alert.waitFor({ state: "detached" }),
        ]);
        await recovered(page);
      },
      {
        clock: true,
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
  return handle;
}

/** What is on the page now, in light, dark and at phone width. */
export async function lookAt(page, name) {
  const size = page.viewportSize();
  await page.evaluate(() => window.scrollTo(0, 0)); // what lies half below the header would count as too small
  await picture(page, `${name}-light`);
  await accessible(page, `${name} light`);
  await fits(page);
  await inScheme(page, "dark");
  await picture(page, `${name}-dark`);
  await accessible(page, `${name} dark`, colours); // the document is the same
  await inScheme(page, "light");
  await page.setViewportSize(phone);
  await picture(page, `${name}-phone`);
  await accessible(page, `${name} phone`);
  await fits(page);
  await page.setViewportSize(size);
}

/** Has the page change its colours, as the system would. */
async function inScheme(page, scheme) {
  await page.emulateMedia({ colorScheme: scheme });
  await page.waitForFunction((s) => document.documentElement.dataset.mantineColorScheme === s, scheme);
}

/** What moves or fades has come to its end. */
function settled(page) {
  return page.evaluate(() =>
    Promise.allSettled(
      document
        .getAnimations()
        .filter((a) => Number.isFinite(a.effect?.getComputedTiming().endTime))
        .map((a) => a.finished),
    ).then(() => undefined),
  );
}

/** A picture for people to look at, when somebody wants to. */
export async function picture(page, name) {
  if (!process.env.PICTURES) return;
  await page.evaluate(() => document.fonts.ready);
  await settled(page);
  await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
}

const everything = { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] };
/** The rules that another colour scheme alone can break. */
const colours = { type: "rule", values: ["color-contrast", "link-in-text-block"] };

/** No violation that axe can find, of what is on the page now. */
export async function accessible(page, what, runOnly = everything) {
  // Through the debugger, which the page's policy does not bind. Once a document: it is half a megabyte.
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axeSource);
  await settled(page);
  const violations = await page.evaluate(async (runOnly) => {
    const result = await globalThis.axe.run(document, { runOnly, resultTypes: ["violations"] });
    return result.violations.map(
      (v) =>
        `${v.impact} ${v.id}: ${v.nodes
          .slice(0, 3)
          .map(
            (n) =>
              `${n.target.join(" ")} ${n.html} (${(n.failureSummary ?? "").split("\n").slice(1).join(" ").trim()})`,
          )
          .join("; ")}`,
    );
  }, runOnly);
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
