// Generates src/api/schema.d.ts from the control plane's OpenAPI document.
//
//   npm run gen                       ../api/openapi.json when there is one, else asks the Go source
//   npm run gen -- path/openapi.json
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const web = fileURLToPath(new URL("..", import.meta.url));
const committed = join(web, "../api/openapi.json");
const argument = process.argv[2];
const scratch = mkdtempSync(join(tmpdir(), "edgewright-openapi-"));
try {
  let document = argument ? resolve(argument) : committed;
  if (!existsSync(document)) {
    if (argument) throw new Error(`${argument} does not exist`);
    document = join(scratch, "openapi.json");
    writeFileSync(document, execFileSync("go", ["run", "./cmd/edgewright", "openapi"], { cwd: join(web, "..") }));
  }
  execFileSync(
    process.execPath,
    [join(web, "node_modules/openapi-typescript/bin/cli.js"), document, "-o", join(web, "src/api/schema.d.ts")],
    { stdio: "inherit" },
  );
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
