// What a freshly installed counter does, as text: node transcript.mjs HOST CANISTER_ID
//
// Every counter of `sdk/examples/counter.did`, whatever it was compiled by, prints the same lines.
import { Ed25519KeyIdentity } from '@icp-sdk/core/identity';
import { agentFor, counterOf, fromCommandLine } from './counter.mjs';

const { host, canisterId } = fromCommandLine();
const identity = Ed25519KeyIdentity.generate(new Uint8Array(32).fill(7));
const counter = counterOf(await agentFor(host, { identity }), canisterId);

const steps = [
  ['get'],
  ['inc'],
  ['add', 2n ** 70n],
  ['add', 0n],
  ['get'],
  ['trap_after_write'],
  ['get'],
  ['whoami'],
  ['burn', 0n],
  ['burn', 100_000n],
  ['tick_every', 0],
  ['ticks'],
];
for (const [method, ...args] of steps) {
  const call = `${method}(${args.join(', ')})`;
  try {
    console.log(`${call} = ${(await counter[method](...args)) ?? '()'}`);
  } catch (error) {
    // The text of a trap is the compiler's; that it is a trap is the interface's.
    if (error.kind !== 'Reject') {
      console.error(`${call}: ${error.message}`);
      process.exit(1);
    }
    console.log(`${call} rejected with code ${error.code?.rejectCode}`);
  }
}
