// Compiles Actor.mo without touching the network: node build.mjs OUT.wasm
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const motoko = require('motoko');
try {
  motoko.loadPackage(require('motoko/packages/latest/core.json'));
  motoko.setPublicMetadata(['candid:service']);
  motoko.write('Actor.mo', fs.readFileSync(new URL('Actor.mo', import.meta.url), 'utf8'));
  fs.writeFileSync(process.argv[2], motoko.wasm('Actor.mo', 'ic').wasm);
} catch (error) {
  // Uncaught, it would be preceded by the compiler's own source: one line of 2.6 MB.
  console.error(error.message);
  process.exit(1);
}
