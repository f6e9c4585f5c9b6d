// Validates state machines by AWS's own language service, which its editors use:
// node states-language.mjs FILE... prints one line a finding and exits with 1. It reads JSON and YAML.
// It knows which fields and values a state may have and where its transitions may lead; asl-validator,
// which runs beside it, parses paths and intrinsic functions too.
import { readFile } from "node:fs/promises";
import service from "amazon-states-language-service";

const { getLanguageService, getYamlLanguageService, TextDocument } = service;

let findings = 0;
for (const path of process.argv.slice(2)) {
  const isJson = path.endsWith(".json");
  const validator = (isJson ? getLanguageService : getYamlLanguageService)({});
  const language = isJson ? "asl" : "asl-yaml";
  const document = TextDocument.create(path, language, 1, await readFile(path, "utf8"));
  const parsed = isJson ? validator.parseJSONDocument(document) : undefined;
  for (const { message, range } of await validator.doValidation(document, parsed)) {
    findings += 1;
    console.error(`${path}:${range.start.line + 1}: ${message}`);
  }
}
process.exit(findings ? 1 : 0);
