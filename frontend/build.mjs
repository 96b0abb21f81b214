/**
 * Builds the browser code that the Python package ships. The output is committed, so a host never needs Node.
 *
 * Each built file starts with a sha256 over its sources (paths and contents, in order), so that a test without Node
 * can tell whether the output belongs to the sources: tests/panel/test_frontend_build.py computes the same sum.
 */
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const output = join(here, "..", "perfsuite", "panel", "static", "perfsuite_panel");

/** The same files and the same order as in the test: what decides the output of one bundle. */
function sourcesOf(folder) {
  const own = readdirSync(join(here, folder)).sort().map((name) => `${folder}/${name}`);
  return ["build.mjs", "package-lock.json", "tsconfig.json", ...own];
}

function digestOf(files) {
  const hash = createHash("sha256");
  for (const file of files) {
    hash.update(`${file}\n`);
    hash.update(readFileSync(join(here, file)));
  }
  return hash.digest("hex");
}

const digest = digestOf(sourcesOf("dashboard"));
const banner = `/*! perfsuite panel. Built by "npm run build" in frontend/, do not edit. sources-sha256: ${digest} */`;
const licence = "/*! Contains uPlot 1.6.32, Copyright (c) 2025 Leon Sorokin, MIT: vendor/uplot/LICENSE */";

await build({
  absWorkingDir: here,
  entryPoints: { dashboard: "dashboard/main.ts" },
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2021"],
  charset: "ascii",
  legalComments: "none",
  banner: { js: `${banner}\n${licence}`, css: `${banner}\n${licence}` },
  outdir: output,
  logLevel: "info",
});
await build({
  absWorkingDir: here,
  entryPoints: { dashboard: "dashboard/dashboard.css" },
  bundle: true,
  minify: true,
  target: ["chrome105", "firefox110", "safari16"],
  charset: "utf8",
  legalComments: "none",
  banner: { css: `${banner}\n${licence}` },
  outdir: output,
  logLevel: "info",
});

mkdirSync(join(output, "vendor", "uplot"), { recursive: true });
copyFileSync(join(here, "node_modules", "uplot", "LICENSE"), join(output, "vendor", "uplot", "LICENSE"));
