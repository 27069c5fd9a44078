import { edgewright } from "./harness.mjs";

export const P = "/api/v1/infrastructure";
/** The domain whose zone is looked at. */
export const D = `${P}/domains/shop.example.com`;
export const at = (tab, more = "") => `/domains/shop.example.com?tab=${tab}${more}`;

/** A server with shop.example.com, and when it is `managed` with the zone example.com, where its records are. */
export function shop({ managed = false } = {}) {
  return edgewright({
    // Nobody is asked beyond this machine: a resolver that does not answer.
    flags: ["--demo", "--issuer", "local", "--resolvers", "127.0.0.1:9", "--no-registry-lookups"],
    async setup({ api, until }) {
      const { domains } = await until(`${P}/domains`, ({ domains }) => domains[0]?.status === "active");
      await api("POST", `${P}/domains`, { domain: "shop.example.com", origin: domains[0].origin });
      if (!managed) return;
      await api("POST", `${D}/zone`);
      await api("PATCH", D, { dns: "managed" });
      await until(`${D}/zone/settings`, ({ zone }) => zone.serial > 0);
    },
  });
}

/** Applies what is reviewed, which production asks about once more. */
export async function apply(page) {
  await page.getByRole("button", { name: "Apply", exact: true }).click();
  await page.getByRole("button", { name: "Apply to production" }).click();
}
