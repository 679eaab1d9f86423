#!/usr/bin/env node
// Writes the parts of GitHub's own descriptions that the tests check against:
//   fixtures/github/openapi.json           the REST operations that Siding calls, with everything that they refer to
//   fixtures/github/webhooks-schema.json   the webhook events that Siding reads
//   fixtures/webhooks/examples/            GitHub's examples of those events
// Run it again after a change of OPERATIONS, EVENTS or a version: `node scripts/vendor-github-schemas.mjs`.
// It fetches about 30 MB with `npm pack`, which checks what it fetches; nothing is installed or run.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGES = {
  openapi: "@octokit/openapi@23.0.2",
  schemas: "@octokit/webhooks-schemas@7.6.1",
  examples: "@octokit/webhooks-examples@7.6.1",
};

const OPERATIONS = [
  "POST /app/installations/{installation_id}/access_tokens",
  "GET /app/hook/deliveries",
  "POST /app/hook/deliveries/{delivery_id}/attempts",
  "GET /repos/{owner}/{repo}/pulls",
  "GET /repos/{owner}/{repo}/pulls/{pull_number}",
  "PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge",
  "GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews",
  "GET /repos/{owner}/{repo}/issues/{issue_number}/comments",
  "POST /repos/{owner}/{repo}/issues/{issue_number}/comments",
  "GET /repos/{owner}/{repo}/issues/comments/{comment_id}",
  "PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}",
  "POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
  "GET /repos/{owner}/{repo}/collaborators/{username}/permission",
  "POST /repos/{owner}/{repo}/check-runs",
  "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}",
  "GET /repos/{owner}/{repo}/commits/{ref}/check-runs",
];

const EVENTS = ["pull_request", "issue_comment", "pull_request_review", "installation", "ping"];

// What only people read. Under `properties` the same words are names of fields and stay.
const PROSE = ["description", "summary", "example", "examples", "externalDocs", "x-github", "x-githubEnterpriseOnlyDocs", "tsAdditionalProperties"];

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const work = mkdtempSync(join(tmpdir(), "siding-schemas-"));
const read = (...path) => JSON.parse(readFileSync(join(work, ...path), "utf8"));
const write = (path, value) => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), typeof value === "string" ? value : JSON.stringify(value) + "\n");
};

for (const [name, spec] of Object.entries(PACKAGES)) {
  const target = join(work, name);
  mkdirSync(target);
  const [{ filename }] = JSON.parse(execFileSync("npm", ["pack", "--json", "--silent", spec], { cwd: target, encoding: "utf8" }));
  execFileSync("tar", ["xzf", filename], { cwd: target });
}

writeOpenApi(read("openapi", "package", "generated", "api.github.com.json"));
writeWebhooksSchema(read("schemas", "package", "schema.json"));
writeExamples(read("examples", "package", "api.github.com", "index.json"));
writeNotices();
rmSync(work, { recursive: true });

function writeOpenApi(full) {
  const cut = { openapi: full.openapi, info: { title: full.info.title, version: full.info.version, license: full.info.license }, paths: {}, components: {} };
  for (const operation of OPERATIONS) {
    const [method, path] = operation.split(" ");
    const found = full.paths[path]?.[method.toLowerCase()];
    if (!found) throw new Error(`GitHub has no ${operation}`);
    const { operationId, parameters, requestBody, responses } = found;
    (cut.paths[path] ??= {})[method.toLowerCase()] = withoutProse({ operationId, parameters, requestBody, responses });
  }
  followReferences(cut, full);
  write("fixtures/github/openapi.json", cut);
}

function writeWebhooksSchema(full) {
  const names = EVENTS.flatMap((event) => Object.keys(full.definitions).filter((name) => name.startsWith(`${event}$`)));
  const cut = { $schema: full.$schema, definitions: {} };
  for (const name of names) cut.definitions[name] = withoutProse(full.definitions[name]);
  followReferences(cut, full);
  write("fixtures/github/webhooks-schema.json", cut);
}

function writeExamples(all) {
  rmSync(join(root, "fixtures/webhooks/examples"), { recursive: true, force: true });
  for (const event of EVENTS) {
    const { examples } = all.find(({ name }) => name === event);
    // By content, so that an example keeps its name when another one is added.
    for (const example of examples) {
      const digest = createHash("sha256").update(JSON.stringify(example)).digest("hex").slice(0, 8);
      write(`fixtures/webhooks/examples/${event}/${example.action ?? event}-${digest}.json`, example);
    }
  }
}

function writeNotices() {
  const licence = readFileSync(join(work, "openapi", "package", "LICENSE"), "utf8");
  write("fixtures/github/LICENSE-octokit", licence);
  write("fixtures/webhooks/LICENSE-octokit", licence);
  for (const name of ["schemas", "examples"]) {
    const { license } = read(name, "package", "package.json");
    if (license !== "MIT") throw new Error(`${PACKAGES[name]} is no longer under MIT`);
  }
}

// Adds to `cut` what it refers to, and what that refers to, until nothing is missing.
function followReferences(cut, full) {
  const waiting = [cut];
  const seen = new Set();
  while (waiting.length > 0) {
    for (const reference of references(waiting.pop())) {
      if (seen.has(reference)) continue;
      seen.add(reference);
      const keys = reference.replace(/^#\//, "").split("/");
      let from = full;
      let to = cut;
      for (const key of keys.slice(0, -1)) {
        from = from[key];
        to = to[key] ??= {};
      }
      const last = keys.at(-1);
      if (last in to) continue;
      to[last] = withoutProse(from[last]);
      waiting.push(to[last]);
    }
  }
}

function* references(value) {
  if (value === null || typeof value !== "object") return;
  if (typeof value.$ref === "string") yield value.$ref;
  for (const child of Object.values(value)) yield* references(child);
}

function withoutProse(value, areNames = false) {
  if (Array.isArray(value)) return value.map((child) => withoutProse(child));
  if (value === null || typeof value !== "object") return value;
  const kept = {};
  for (const [key, child] of Object.entries(value)) {
    if (!areNames && PROSE.includes(key)) continue;
    // An enumeration's values are data, whatever they look like.
    kept[key] = !areNames && key === "enum" ? child : withoutProse(child, !areNames && (key === "properties" || key === "definitions"));
  }
  return kept;
}
