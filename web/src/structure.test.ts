import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, it } from "vitest";

const src = join(process.cwd(), "src");

function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? files(path) : /\.tsx?$/.test(entry.name) ? [relative(src, path)] : [];
  });
}

/** What a file imports from elsewhere in src, as "ui/Panel". */
function imports(file: string): string[] {
  const text = readFileSync(join(src, file), "utf8");
  return [...text.matchAll(/from\s+"@\/([^"]+)"/g)].map((m) => m[1] ?? "");
}

const inspected = files(src).filter((f) => !/\.test\.tsx?$|^test\/|schema\.d\.ts$/.test(f));

it("a feature imports another one only through its queries", () => {
  const wrong = inspected.flatMap((file) => {
    const own = /^features\/([^/]+)\//.exec(file)?.[1];
    if (!own) return [];
    return imports(file)
      .filter(
        (i) => i.startsWith("features/") && !i.startsWith(`features/${own}/`) && !/^features\/[^/]+\/queries$/.test(i),
      )
      .map((i) => `${file} imports ${i}`);
  });
  expect(wrong).toEqual([]);
});

it("lib, api and ui know no screen", () => {
  const wrong = inspected
    .filter((file) => /^(lib|api|ui)\//.test(file))
    .flatMap((file) =>
      imports(file)
        .filter((i) => /^(features|app)\//.test(i) && !i.endsWith(".css"))
        .map((i) => `${file} imports ${i}`),
    );
  expect(wrong).toEqual([]);
});

it("no word on a screen stands outside of the catalogue", () => {
  const wrong = inspected
    .filter((file) => file.endsWith(".tsx"))
    .flatMap((file) => {
      const text = readFileSync(join(src, file), "utf8");
      const attributes = text.matchAll(/\b(?:aria-label|label|placeholder|title|description)="([^"]*[a-z][^"]*)"/gi);
      const children = text.matchAll(/>\s*([A-Z][a-z]+(?: [a-z]+)*[.?!]?)\s*<\//g);
      return [...attributes, ...children].map((m) => `${file}: ${m[1]}`);
    })
    .filter((found) => !/: (Esc|Ctrl K)$/.test(found));
  expect(wrong).toEqual([]);
});
