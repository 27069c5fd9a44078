import assert from "node:assert/strict";
import { after, test } from "node:test";
import { nameServer } from "./dns.mjs";
import { accessible, edgewright, picture } from "./harness.mjs";
import { mailServer } from "./mail.mjs";

const dns = await nameServer();
const mails = await mailServer({ refuse: ["webmaster@example.net"] });
after(() => {
  dns.close();
  mails.close();
});
const P = "/api/v1/infrastructure";
let origin;

const ew = edgewright({
  flags: [
    "--demo",
    "--issuer",
    "local",
    "--resolvers",
    dns.address,
    "--no-registry-lookups",
    "--smtp-url",
    mails.url,
    "--mail-from",
    "edge@example.org",
  ],
  async setup({ api, until }) {
    const { domains } = await until(`${P}/domains`, ({ domains }) => domains[0]?.status === "active");
    origin = domains[0].origin;
    await api("POST", `${P}/domains`, { domain: "shop.example.com", origin });
    await prove("shop.example.com");
  },
});

/** Publishes the proof of a domain and has it looked at. */
async function prove(name) {
  const { domain_config: d } = await ew.api("GET", `${P}/domains/${name}`);
  const record = d.verification.records.find((r) => r.purpose === "ownership");
  dns.set("TXT", record.full_name, record.value);
  const { verified } = await ew.api("POST", `${P}/domains/${name}/verify`, { method: "dns" });
  assert.ok(verified);
}

/** Answers parts of the API with what this machine cannot bring about: registries, and the DNS of the world. */
function answering(parts) {
  return {
    prepare: (page) =>
      Promise.all(
        Object.entries(parts).map(([path, body]) =>
          page.route(
            (url) => url.pathname.endsWith(path),
            (route) => (route.request().method() === "GET" ? route.fulfill({ json: body }) : route.continue()),
          ),
        ),
      ),
  };
}

const soon = (days) => new Date(Date.now() + days * 86_400_000).toISOString();

const setup = {
  mode: "",
  zone: "example.com",
  provider: "cloudflare",
  provider_name: "Cloudflare",
  name_servers: ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"],
  offers: [
    {
      mode: "managed",
      available: true,
      detail: "we serve the zone example.com: you change its name servers at the registrar once",
    },
    {
      mode: "provider",
      available: false,
      detail: "the zone is at Cloudflare: store credentials for it, and we set the records",
    },
    { mode: "manual", available: true, detail: "you set the records shown at Cloudflare" },
  ],
  records: [],
  blockers: [
    {
      reason: "ExistingCNAME",
      type: "CNAME",
      name: "shop.example.com",
      value: "shops.myshopify.example",
      detail: "shop.example.com is an alias of shops.myshopify.example",
      fix: "delete the CNAME before you set the address",
    },
    {
      reason: "CAAForbids",
      type: "CAA",
      name: "example.com",
      value: '0 issue "digicert.com"',
      detail: "no certificate may be issued for this name by Let's Encrypt",
      fix: 'add the record 0 issue "letsencrypt.org"',
    },
  ],
  checked_at: soon(0),
};

const managed = {
  ...setup,
  mode: "managed",
  blockers: [],
  managed: {
    apex: "example.com",
    name_servers: ["a3.ns.edge.example", "b7.ns.edge.example"],
    ds: ["4711 13 2 49FD46E6C4B45C55D4AC69CBD3CD34AC1AFE51DE2B5C9A2D1E6C4B45C55D4AC6"],
  },
};

const registry = {
  name: "example.com",
  source: "rdap",
  server: "https://rdap.registry.example/",
  registrar: "Porkbun LLC",
  registrar_id: "1861",
  created_at: soon(-900),
  updated_at: soon(-20),
  expires_at: soon(12),
  days_left: 12,
  name_servers: ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"],
  ds: [],
  signed: false,
  epp: ["clientUpdateProhibited", "addPeriod"],
  transfer_protected: false,
  checked_at: soon(0),
  next_at: soon(1),
};

const seen = [
  { resolver: "ada.ns.cloudflare.com", authoritative: true, answers: ["192.0.2.10"] },
  { resolver: "9.9.9.9:53", answers: ["192.0.2.10"] },
  { resolver: "1.1.1.1:53", answers: ["198.51.100.4"] },
  { resolver: "8.8.8.8:53", answers: [], error: "the resolver did not answer within 3 s" },
];

const propagation = {
  complete: false,
  sets: [
    {
      name: "shop.example.com",
      type: "A",
      wanted: ["192.0.2.10"],
      changed_at: soon(-0.01),
      checked_at: soon(0),
      complete: false,
      with: 2,
      answering: 3,
      seen,
    },
    {
      name: "_edgewright-challenge.shop.example.com",
      type: "TXT",
      wanted: ["edgewright=5p2k"],
      changed_at: soon(-1),
      checked_at: soon(0),
      complete: true,
      complete_at: soon(-0.99),
      with: 1,
      answering: 1,
      seen: [{ resolver: "9.9.9.9:53", answers: ["edgewright=5p2k"] }],
    },
  ],
};

const watch = {
  checked_at: soon(0),
  resolution: [{ name: "shop.example.com", type: "A", agreed: false, seen }],
  delegation: {
    zone: "example.com",
    parent: "com",
    parent_ns: ["ada.ns.cloudflare.com", "old.ns.example"],
    zone_ns: ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"],
    servers: [
      { name: "ada.ns.cloudflare.com", addresses: ["192.0.2.53", "2001:db8::53"] },
      { name: "old.ns.example", addresses: [], error: "there is no such name" },
    ],
    parent_ds: ["4711 13 2 49FD46E6"],
    signed: true,
    ds_matches: false,
  },
  dangling: [
    {
      name: "shop.example.com",
      type: "CNAME",
      target: "shop-prod.azurewebsites.example",
      reason: "Unclaimed",
      provider: "Azure",
      detail: "the target is free: whoever takes it answers for this name",
      fix: "delete the record, or claim the target",
    },
  ],
};

test("who sets the records: offers, blockers, the choice as a plan, name servers to hand over", async () => {
  const served = (page) => page.getByText("example.com is served by Cloudflare at present").waitFor();
  const at = "/domains/shop.example.com?tab=dns";
  await ew.look("setup-blocked", at, served, answering({ "/setup": setup }));
  await ew.page(
    at,
    async (page) => {
      await served(page);
      await page.getByText("A CNAME is in the way").waitFor();
      assert.ok(await page.getByRole("radio", { name: /provider/ }).isDisabled());
    },
    answering({ "/setup": setup }),
  );
  await ew.look(
    "setup-managed",
    at,
    (page) => page.getByRole("button", { name: "Copy a3.ns.edge.example" }).waitFor(),
    answering({ "/setup": managed }),
  );
  // By the binary itself: chosen by hand, as a plan.
  await ew.page(at, async (page) => {
    await page.getByRole("radio", { name: /by hand/ }).waitFor();
    await page.getByRole("button", { name: "Review the change" }).click();
    await page.getByText("/dns", { exact: true }).waitFor();
    await picture(page, "setup-review");
    await accessible(page, "review of the choice");
    await page.getByRole("button", { name: "Apply", exact: true }).click();
    await page.getByRole("button", { name: "Apply to production" }).click();
    await page.getByText("Applied. The edges are taking it up.").waitFor();
  });
  const { domain_config: d } = await ew.api("GET", `${P}/domains/shop.example.com`);
  assert.equal(d.dns.mode, "manual");
});

test("proof by mail: sent to whoever runs the domain, and confirmed by the link", async () => {
  await ew.api("POST", `${P}/domains`, { domain: "news.example.net", origin });
  const at = "/domains/news.example.net?tab=dns";
  await ew.page(at, async (page) => {
    await page.getByText("Email", { exact: true }).click();
    await page.getByText("No link was sent yet.").waitFor();
    await page.getByRole("button", { name: "Send the link" }).click();
    await page.getByText("The links are on their way.").waitFor();
    await page.getByRole("table", { name: "Email" }).getByText("Not sent").waitFor(); // to the mailbox that is not there
    await picture(page, "email-sent");
    await accessible(page, "sent mail");
    const mail = mails.mails.find((m) => m.to.includes("hostmaster@example.net"));
    const [link] = /http:\S+\/verify-domain\?\S+/.exec(mail.text);
    await page.goto(link);
    await page.getByRole("button", { name: "Confirm news.example.net" }).click();
    await page.getByText("news.example.net is confirmed").waitFor();
    await page.goto(ew.server.dashboard + at);
    await page.getByRole("list", { name: "Set-up" }).getByText("Verified by email").waitFor();
  });
  const { domain_config: d } = await ew.api("GET", `${P}/domains/shop.example.com`);
  d.verification.mail = {
    sent_at: soon(-0.01),
    expires_at: soon(1),
    links: [
      { address: "admin@example.com", state: "sent" },
      { address: "hostmaster@example.com", state: "spent" },
      { address: "postmaster@example.com", state: "failed", error: "550 no such mailbox" },
    ],
  };
  d.verification.lost_at = soon(-2);
  d.verification.release_at = soon(5);
  await ew.look(
    "email",
    "/domains/shop.example.com?tab=dns",
    async (page) => {
      await page.getByText("Email", { exact: true }).click();
      await page.getByText("550 no such mailbox.").waitFor();
      await page.getByText("The proof of ownership is gone.").waitFor();
    },
    answering({ "/infrastructure/domains/shop.example.com": { domain_config: d } }),
  );
});

test("monitoring: registration, propagation, resolution, delegation, what leads nowhere", async () => {
  const at = "/domains/shop.example.com?tab=watch";
  const world = { "/registry": registry, "/propagation": propagation, "/watch": watch };
  const all = async (page) => {
    await page.getByText("The registration ends soon.").waitFor();
    await page.getByText("2 of 3").waitFor();
    await page.getByText("The target is free to claim").waitFor();
    await page.getByText("Parent and zone name different servers").waitFor();
  };
  await ew.look("monitoring", at, all, answering(world));
  // As the binary finds a name that it knows little of.
  await ew.look("monitoring-empty", "/domains/demo.localhost?tab=watch", (page) =>
    page.getByRole("heading", { name: "The registry was not asked." }).waitFor(),
  );
  await ew.lookAtErrors(
    "monitoring",
    at,
    (page) => page.getByRole("heading", { name: "Registration" }).waitFor(),
    /\/(registry|propagation|watch)\?/,
  );
});

test("locks, unlocks with a reason, and refuses meanwhile", async () => {
  await ew.page("/domains/shop.example.com?tab=settings", async (page) => {
    await page.getByRole("button", { name: "Lock the domain" }).click();
    await page.getByText("shop.example.com is locked").waitFor();
    await page.getByText("Unlock the domain first.").first().waitFor();
    assert.ok(await page.getByRole("button", { name: "Remove domain" }).isDisabled());
    await page.getByRole("button", { name: "Unlock the domain" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Reason").fill("moving it to another project");
    await picture(page, "unlock");
    await accessible(page, "unlock");
    await dialog.getByRole("button", { name: "Unlock the domain" }).click();
    await page.getByText("shop.example.com is unlocked").waitFor();
    await page.getByRole("button", { name: "Lock the domain" }).waitFor();
  });
  const { events } = await ew.api("GET", `${P}/domains/shop.example.com/events`);
  assert.equal(events[0].type, "lock.unlocked");
  await ew.look("history", "/domains/shop.example.com?tab=history", async (page) => {
    await page.getByText("lock.unlocked").waitFor({ state: "attached" });
    await page.getByRole("table", { name: "What was changed" }).waitFor();
  });
});

test("hands a domain to another project, which reviews and accepts", async () => {
  await ew.api("POST", "/api/v1/projects", { name: "blog", title: "Blog" });
  await ew.page("/domains/shop.example.com?tab=settings", async (page) => {
    await page.getByRole("button", { name: "Offer the domain" }).click();
    await page.getByText("Name the project.").waitFor();
    await page.getByRole("combobox", { name: "To project" }).fill("blog");
    await page.getByLabel("Note").fill("as agreed on Monday");
    await page.getByRole("button", { name: "Offer the domain" }).click();
    await page.getByRole("button", { name: "Take the offer back" }).waitFor();
    await picture(page, "transfer-offered");
    await accessible(page, "offered");
  });
  await ew.look("domain-handover", "/domains/shop.example.com?tab=settings", (page) =>
    page.getByRole("button", { name: "Take the offer back" }).waitFor(),
  );
  const offered = (page) => page.getByRole("table", { name: "Offered to this project" }).waitFor();
  await ew.look("transfers", "/domains?project=blog", offered);
  await ew.page("/domains?project=blog", async (page) => {
    await offered(page);
    await page.getByRole("button", { name: "Decline shop.example.com" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Accept shop.example.com" }).click();
    await page.getByRole("button", { name: "Review what moves" }).click();
    await page.getByRole("button", { name: "Apply", exact: true }).waitFor();
    await picture(page, "transfer-review");
    await accessible(page, "what moves");
    await page.getByRole("button", { name: "Apply", exact: true }).click();
    await page.getByRole("button", { name: "Apply to production" }).click();
    await page.getByRole("link", { name: "Go to the domain" }).click();
    await page.getByRole("heading", { name: "shop.example.com", exact: true }).waitFor();
  });
});
