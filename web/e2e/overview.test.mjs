import assert from "node:assert/strict";
import { test } from "node:test";
import { accessible, clipboard, edgewright, picture } from "./harness.mjs";

const ew = edgewright();

/** Visitors that come while `body` runs. */
async function underTraffic(body) {
  let going = true;
  const visitors = (async () => {
    while (going) {
      await Promise.all(
        ["/", "/gallery", "/images/dunes.png", "/api/products"].map((path) => ew.visit("demo.localhost", path)),
      );
      await new Promise((ok) => setTimeout(ok, 25));
    }
  })();
  try {
    await body();
  } finally {
    going = false;
    await visitors;
  }
}

const moving = async (page) => {
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.getByRole("table", { name: "Edges" }).getByText("Online").first().waitFor();
  await page.getByRole("table", { name: "Sites" }).getByText("Active").waitFor();
  await page
    .getByRole("table", { name: "Last changes" })
    .getByText(/Added domain demo\.localhost/)
    .waitFor();
  // The number of requests now is above zero: it came from the edge over the stream.
  await page.locator("section[aria-label='Traffic in numbers']", { hasText: /Requests now\s*[1-9]/ }).waitFor();
};

test("shows edges, sites, changes and traffic as it happens", async () => {
  await ew.until("/api/v1/infrastructure/domains", ({ domains }) => domains[0]?.status === "active");
  await underTraffic(() => ew.look("overview", "/", moving));
});

test("the chart has a table as twin, and the window is in the address", async () => {
  await underTraffic(() =>
    ew.page("/?range=1h", async (page) => {
      await page.getByText("last hour, a point each 1 min").waitFor();
      await page.getByText("Table", { exact: true }).click();
      await page.getByRole("table", { name: "Requests per second" }).waitFor();
      assert.equal(new URL(page.url()).search, "?range=1h&view=table");
      await picture(page, "overview-table");
      await accessible(page, "overview table");
      await page.getByText("7 days", { exact: true }).click();
      await page.waitForURL(/range=7d/);
      await page.getByText(/last 7 days, a point each/).waitFor();
    }),
  );
});

test("an environment without domains says how to begin, to copy", async () => {
  await ew.look("overview-empty", "/?environment=staging", async (page) => {
    await page.getByRole("heading", { name: "Serve your first site" }).waitFor();
    await page.getByRole("table", { name: "Edges" }).waitFor();
  });
  await ew.page("/?environment=staging", async (page) => {
    await page
      .getByRole("button", { name: /^Copy edgewright domains add/ })
      .first()
      .click();
    await page.getByRole("status").filter({ hasText: "Copied" }).waitFor();
    assert.equal(await clipboard(page), "edgewright domains add shop.localhost --origin http://127.0.0.1:3000");
  });
});

test("says what failed and recovers", async () => {
  await ew.lookAtErrors("overview", "/", (page) => page.locator("section[aria-label='Traffic in numbers']").waitFor());
});
