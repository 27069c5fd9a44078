import { test } from "node:test";
import { accessible, edgewright, picture } from "./harness.mjs";

const ew = edgewright();

const listed = (page) =>
  page.getByRole("table", { name: "Certificates" }).getByText("Valid", { exact: true }).waitFor();

test("lists certificates with what happens next, and leads to each", async () => {
  await ew.until("/api/v1/infrastructure/domains", ({ domains }) => domains[0]?.status === "active");
  await ew.look("certificates", "/certificates", listed);
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
  await ew.lookAtErrors("certificates", "/certificates", listed);
});
