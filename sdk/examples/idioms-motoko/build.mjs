// Compiles Idioms.mo and the actor class in Child.mo (wasm64, enhanced orthogonal persistence) without touching the network: node build.mjs OUT.wasm OUT.did
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const motoko = require('motoko');
const [, , wasmPath, didPath] = process.argv;
if (!wasmPath || !didPath) {
  console.error('usage: node build.mjs OUT.wasm OUT.did');
  process.exit(2);
}

motoko.loadPackage(require('motoko/packages/latest/core.json'));
motoko.setPublicMetadata(['candid:service']);
for (const name of ['Child.mo', 'Idioms.mo']) {
  motoko.write(name, fs.readFileSync(new URL(name, import.meta.url), 'utf8'));
}
const { wasm } = motoko.wasm('Idioms.mo', 'ic');
fs.writeFileSync(wasmPath, wasm);
fs.writeFileSync(didPath, motoko.candid('Idioms.mo'));
