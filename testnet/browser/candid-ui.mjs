// Takes the Candid UI out of the stock tool `icp`, which carries it as a Wasm module: node candid-ui.mjs OUT.wasm
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const MAGIC = Buffer.from('\0asm\x01\0\0\0', 'binary');
/** What no other module of the tool has. */
const MARK = Buffer.from('Provide a canister ID');

/** The unsigned LEB128 number at `at`, and where it ends. */
function number(bytes, at) {
  let value = 0;
  for (let shift = 1; ; shift *= 128) {
    const byte = bytes[at++];
    value += (byte & 127) * shift;
    if (byte < 128 || byte === undefined) return [value, at];
  }
}

/** Where the module that starts at `start` ends: behind its last well-formed section, or where the next module starts. */
function end(bytes, start) {
  let at = start + MAGIC.length;
  while (bytes[at] <= 13 && bytes.compare(MAGIC, 0, MAGIC.length, at, at + MAGIC.length) !== 0) {
    const [size, content] = number(bytes, at + 1);
    if (size === 0 || content + size > bytes.length) break;
    at = content + size;
  }
  return at;
}

const tool = dirname(createRequire(import.meta.url).resolve('@icp-sdk/icp-cli-linux-x64/package.json'));
const bytes = readFileSync(join(tool, 'bin/icp'));
for (let start = bytes.indexOf(MAGIC); start >= 0; start = bytes.indexOf(MAGIC, start + 1)) {
  const module = bytes.subarray(start, end(bytes, start));
  if (module.includes(MARK)) {
    writeFileSync(process.argv[2], module);
    console.log(`Candid UI: ${module.length} bytes`);
    process.exit(0);
  }
}
console.error('icp carries no Candid UI any more');
process.exit(1);
