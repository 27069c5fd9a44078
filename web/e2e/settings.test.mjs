import assert from "node:assert/strict";
import { test } from "node:test";
import { accessible, clipboard, edgewright, picture } from "./harness.mjs";

const ew = edgewright();

test("shows every part", async () => {
  await ew.look("settings-account", "/settings", (page) => page.getByRole("heading", { name: "Profile" }).waitFor());
  await ew.look("settings-tokens", "/settings?tab=tokens", (page) =>
    page.getByRole("heading", { name: "API tokens", exact: true }).waitFor(),
  );
  await ew.look("settings-members", "/settings?tab=members", (page) =>
    page.getByRole("heading", { name: "Members of Default" }).waitFor(),
  );
  await ew.look("settings-projects", "/settings?tab=projects", (page) => page.getByText("Open here").waitFor());
  await ew.look("settings-trust", "/settings?tab=trust", (page) => page.getByText("SHA-256 fingerprint").waitFor());
  await ew.look("settings-about", "/settings?tab=about", (page) => page.getByText("API reference").waitFor());
});

test("keeps credentials of a DNS provider, never shows them, forgets them by name", async () => {
  await ew.look("settings-dns-empty", "/settings?tab=dns", (page) =>
    page.getByRole("heading", { name: "No DNS providers yet" }).waitFor(),
  );
  await ew.api("POST", "/api/v1/infrastructure/dns/providers", {
    name: "main",
    driver: "cloudflare",
    credentials: { api_token: "0123456789".repeat(4) },
  });
  await ew.look("settings-dns", "/settings?tab=dns", (page) =>
    page.getByRole("table", { name: "DNS providers" }).getByText("Not tested").waitFor(),
  );
  await ew.page(
    "/settings?tab=dns",
    async (page) => {
      await page.getByRole("button", { name: "Add a provider" }).click();
      const dialog = page.getByRole("dialog", { name: "Add a DNS provider" });
      await dialog.getByRole("button", { name: "Keep and test" }).click();
      await dialog.getByText("Enter a name.").waitFor();
      await dialog.getByRole("combobox", { name: "Provider" }).click();
      await page.getByRole("option", { name: "Cloudflare" }).click();
      await dialog.getByRole("button", { name: "Keep and test" }).click();
      await dialog.getByText("This is needed.").first().waitFor();
      await dialog.getByLabel("Name").fill("second");
      await dialog.getByLabel("api_token", { exact: true }).fill("too-short");
      await dialog.getByRole("button", { name: "Keep and test" }).click();
      await dialog.getByText(/^This is no Cloudflare API token/).waitFor();
      await picture(page, "settings-dns-add");
      await accessible(page, "add a provider");
      await dialog.getByRole("button", { name: "Cancel" }).click();
      await page.getByRole("button", { name: "More: main" }).click();
      await page.getByRole("menuitem", { name: "Forget" }).click();
      const forget = page.getByRole("dialog", { name: "Forget main" });
      await forget.getByRole("textbox").fill("main");
      await forget.getByRole("button", { name: "Forget" }).click();
      await page.getByText("main forgotten").waitFor();
      await page.getByRole("heading", { name: "No DNS providers yet" }).waitFor();
    },
    { allow: /status of 4\d\d/ },
  );
});

test("shows which records are left at a DNS provider, why, and what can be done", async () => {
  const left = (over) => ({
    id: "plc_1",
    domain: "shop.example.com",
    account: "main",
    project_id: "prj_1",
    environment: "production",
    revision: 7,
    state: "needs_consent",
    reason: "NeedsConsent",
    message: "",
    removing_since: "2026-11-20T10:00:00Z",
    next_attempt: "2026-11-20T16:00:00Z",
    given_up_at: "2026-12-04T10:00:00Z",
    attempts: 3,
    records: ["A shop.example.com 192.0.2.1", `TXT _edgewright.shop.example.com "${"heritage=edgewright,".repeat(8)}"`],
    ...over,
  });
  const placements = [
    left({}),
    left({
      id: "plc_2",
      domain: "xn--mnchen-3ya.example",
      state: "removing",
      reason: "Refused",
      message: "the token may not",
    }),
    left({
      id: "plc_3",
      domain: `${"long-name-".repeat(6)}a.example`,
      state: "removing",
      reason: "ProviderAway",
      records: [],
    }),
  ];
  const prepare = (page) =>
    page.route(/\/dns\/placements\?/, (route) => route.fulfill({ json: { placements, next_cursor: "" } }));
  await ew.look(
    "settings-leftovers",
    "/settings?tab=dns",
    async (page) => {
      await page.getByText("münchen.example", { exact: true }).waitFor();
      await page.getByText("2 records that would go").first().click();
    },
    { prepare },
  );
  await ew.look(
    "domains-leftovers",
    "/domains",
    (page) => page.getByText(/^Records of 3 domains are still/).waitFor(),
    {
      prepare,
    },
  );
  await ew.page(
    "/settings?tab=dns",
    async (page) => {
      await page.getByRole("button", { name: "Remove: records of shop.example.com at main" }).click();
      await page
        .getByRole("dialog", { name: "Remove records at the provider" })
        .getByText(/^A shop/)
        .waitFor();
      await picture(page, "leftovers-remove");
      await accessible(page, "remove what is left");
    },
    { prepare },
  );
});

test("changes the account, asking for the password where it matters", async () => {
  await ew.page(
    "/settings",
    async (page) => {
      await page.getByLabel("Name", { exact: true }).fill("Ada L.");
      await page.getByRole("button", { name: "Save changes" }).click();
      await page.getByText("Account saved").waitFor();
      await page.getByLabel("Email").fill("not an address");
      await page.getByLabel("Email").blur();
      await page.getByText("Enter an email address.").waitFor();
      await page.getByLabel("Email").fill("ada.l@example.com");
      await page.getByRole("button", { name: "Save changes" }).click();
      await page.getByRole("alert").waitFor();
      await picture(page, "settings-account-refused");
      await accessible(page, "refused account change");
    },
    { allow: /status of 4\d\d/ },
  );
});

test("makes a token, shows it once, and it works until it is revoked", async () => {
  let secret;
  await ew.page("/settings?tab=tokens", async (page) => {
    await page.getByRole("button", { name: "Create token" }).click();
    const dialog = page.getByRole("dialog", { name: "Create an API token" });
    await dialog.getByLabel("Name").fill("deploy pipeline");
    await dialog.getByLabel("Scopes").fill("domains:read");
    await picture(page, "token-create");
    await accessible(page, "create token");
    await dialog.getByRole("button", { name: "Create token" }).click();
    await dialog.getByText("This is the only time the token is shown.").waitFor();
    await picture(page, "token-created");
    await accessible(page, "token created");
    await dialog.getByRole("button", { name: "API token" }).click();
    await dialog.getByRole("status").filter({ hasText: "Copied" }).waitFor();
    secret = await clipboard(page);
    await dialog.getByRole("button", { name: "Done" }).click();
    await page.getByRole("cell", { name: "domains:read" }).waitFor();
  });
  const ask = () =>
    fetch(`${ew.server.dashboard}/api/v1/infrastructure/domains`, { headers: { authorization: `Bearer ${secret}` } });
  assert.equal((await ask()).status, 200);
  await ew.page("/settings?tab=tokens", async (page) => {
    await page
      .getByRole("row", { name: /deploy pipeline/ })
      .getByRole("button", { name: "Revoke" })
      .click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox").fill("deploy pipeline");
    await dialog.getByRole("button", { name: "Revoke" }).click();
    await page.getByText("deploy pipeline revoked").waitFor();
    await page.getByRole("row", { name: /deploy pipeline/ }).waitFor({ state: "detached" });
  });
  assert.equal((await ask()).status, 401);
});

test("invites a member by a link, changes nothing before it is used, and withdraws it", async () => {
  await ew.page("/settings?tab=members", async (page) => {
    await page.getByRole("button", { name: "Invite" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Email").fill("bo@example.com");
    await dialog.getByRole("button", { name: "Invite" }).click();
    await dialog.getByText("Send this link to bo@example.com.").waitFor();
    await picture(page, "member-invited");
    await accessible(page, "invited");
    await dialog.getByRole("button", { name: "Invitation link" }).click();
    await dialog.getByRole("status").filter({ hasText: "Copied" }).waitFor();
    assert.match(await clipboard(page), /\/login\?link=/);
    await dialog.getByRole("button", { name: "Done" }).click();
    await page
      .getByRole("row", { name: /bo@example\.com/ })
      .getByRole("button", { name: "Withdraw" })
      .click();
    await page.getByRole("dialog").getByRole("textbox").fill("bo@example.com");
    await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
    await page.getByRole("row", { name: /bo@example\.com/ }).waitFor({ state: "detached" });
  });
});

test("makes a project with an environment, opens it, deletes it", async () => {
  await ew.page("/settings?tab=projects", async (page) => {
    await page.getByRole("button", { name: "New project" }).click();
    let dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("Blog!");
    await dialog.getByRole("button", { name: "Create" }).click();
    await dialog.getByText("Lower-case letters, digits and hyphens, starting with a letter.").waitFor();
    await dialog.getByLabel("Name").fill("blog");
    await dialog.getByLabel(/Title/).fill("The blog");
    await dialog.getByRole("button", { name: "Create" }).click();
    await page.getByRole("heading", { name: "The blog", exact: true }).waitFor();
    await page
      .getByRole("button", { name: "More: The blog" })
      .or(page.getByRole("button", { name: /The blog$/ }))
      .first()
      .click();
    await page.getByRole("menuitem", { name: "Add environment" }).click();
    dialog = page.getByRole("dialog");
    await dialog.getByLabel("Environment name").fill("preview");
    await dialog.getByRole("button", { name: "Add" }).click();
    await page.getByText("preview", { exact: true }).waitFor();
    await picture(page, "projects");
    await page.getByRole("button", { name: "Project: Default" }).click();
    await page.getByRole("menuitem", { name: "The blog" }).click();
    await page.getByRole("heading", { name: "Serve your first site" }).waitFor();
    await page.goto(`${ew.server.dashboard}/settings?tab=projects`);
    await page.getByRole("button", { name: /The blog$/ }).click();
    await page.getByRole("menuitem", { name: "Delete project" }).click();
    dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox").fill("blog");
    await dialog.getByRole("button", { name: "Delete project" }).click();
    await page.getByRole("heading", { name: "The blog", exact: true }).waitFor({ state: "detached" });
  });
});

test("gives the local root to download", async () => {
  await ew.page("/settings?tab=trust", async (page) => {
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Download the root" }).click(),
    ]);
    assert.equal(download.suggestedFilename(), "edgewright-root.pem");
  });
});

test("says what failed and recovers", async () => {
  await ew.lookAtErrors("settings-tokens", "/settings?tab=tokens", (page) =>
    page.getByRole("heading", { name: "API tokens", exact: true }).waitFor(),
  );
});
