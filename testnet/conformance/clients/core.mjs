// The stock JavaScript client, unmodified, against a running network: node core.mjs HOST CANISTER_ID [ISSUER_ID]
//
// Every kind of identity updates, queries and reads the certified state of a counter, with an issuer also logins that a
// canister signs; then forgeries must be refused, by the client or by the network. One line each; exit code 1 when any of them did not hold.
import assert from 'node:assert/strict';
import { IC_ROOT_KEY, StatePaths } from '@icp-sdk/core/agent';
import { Principal } from '@icp-sdk/core/principal';
import { Delegation } from '@icp-sdk/core/identity';
import { agentFor, counterOf, fromCommandLine, identities, login } from './counter.mjs';

const { host, canisterId: canisterText, issuerId: issuerText } = fromCommandLine();
const canisterId = Principal.fromText(canisterText);
let failures = 0;

/** Runs one case and prints its line. */
async function holds(name, run) {
  const started = Date.now();
  try {
    const said = await run();
    console.log(`ok    ${name}: ${said} (${Date.now() - started} ms)`);
  } catch (error) {
    failures += 1;
    console.log(`FAIL  ${name}: ${String(error?.message ?? error).split('\n').slice(0, 6).join(' | ')}`);
  }
}

/** A client of one kind updates, queries (the replica's signature is verified) and reads certified state. */
async function servesIdentity(identity) {
  const agent = await agentFor(host, { identity });
  const counter = counterOf(agent, canisterId);
  const before = await counter.get();
  const after = await counter.inc();
  assert.ok(after > before, `inc answered ${after}, get had answered ${before}`);
  const me = (await counter.whoami()).toText();
  assert.equal(me, identity.getPrincipal().toText(), 'whoami is not the signer');

  const hashPath = StatePaths.canisterModuleHash(canisterId);
  const controllersPath = StatePaths.canisterControllers(canisterId);
  const candidPath = StatePaths.canisterCandid(canisterId);
  const state = await agent.readState({ canisterId }, { paths: [StatePaths.time, hashPath, controllersPath, candidPath] });
  assert.equal(state.values.get(hashPath)?.length, 32, 'no module hash');
  assert.ok(state.values.get(controllersPath)?.length > 0, 'no controllers');
  assert.match(state.values.get(candidPath) ?? '', /service/, 'no public candid:service');
  const ageMs = Math.abs(Date.now() - state.values.get(StatePaths.time).getTime());
  assert.ok(ageMs < 300_000, `certified time is ${ageMs} ms off`);
  return `inc ${after}, ${me.length > 20 ? `${me.slice(0, 11)}…` : me}, certified time ${ageMs} ms old`;
}

/** The client must refuse what it is given, because trust is missing and for no other reason. */
async function refuses(run) {
  let reply;
  try {
    reply = await run();
  } catch (error) {
    assert.equal(error.kind, 'Trust', `refused for another reason: ${error?.message}`);
    return error.code?.name ?? error.name;
  }
  assert.fail(`a forgery was believed: ${reply}`);
}

/** A fetch that flips one bit of every reply whose path ends in `endpoint`, at the last place where `needle` stands. */
function tampering(endpoint, needle, offset) {
  return async (url, init) => {
    const response = await fetch(url, init);
    if (!String(url).endsWith(endpoint)) return response;
    const body = Buffer.from(await response.arrayBuffer());
    const at = body.lastIndexOf(needle);
    assert.ok(at >= 0, `no "${needle}" in the reply`);
    body[at + needle.length + offset] ^= 1;
    return new Response(body, { status: response.status, headers: response.headers });
  };
}

for (const [name, identity] of Object.entries(await identities(canisterId))) {
  await holds(name, () => servesIdentity(identity));
}

/** The network must turn the call away at the door, with this reason. */
async function turnedAway(identity, reason) {
  let reply;
  try {
    reply = await counterOf(await agentFor(host, { identity, retryTimes: 0 }), canisterId).inc();
  } catch (error) {
    assert.match(error.message, reason);
    return 'HTTP 403';
  }
  assert.fail(`it was let in: ${reply}`);
}

if (issuerText) {
  const issuerId = Principal.fromText(issuerText);
  await holds('session of a canister', async () => servesIdentity(await login(host, issuerId)));
  await holds('session of a canister, for this canister', async () => servesIdentity(await login(host, issuerId, [canisterId])));
  await holds('a session for another canister is turned away', async () =>
    turnedAway(await login(host, issuerId, [issuerId]), /not good for canister/));
  const longer = ({ pubkey, expiration, targets }) => new Delegation(pubkey, expiration + 1n, targets);
  await holds('a session that was made longer is turned away', async () =>
    turnedAway(await login(host, issuerId, undefined, longer), /no signature of this message/));
}

const honest = await agentFor(host);
const twisted = Uint8Array.from(honest.rootKey);
twisted[twisted.length - 1] ^= 1;
const foreign = Uint8Array.from(Buffer.from(IC_ROOT_KEY, 'hex'));
for (const [name, rootKey] of [['a root key with one bit flipped', twisted], ["another network's root key", foreign]]) {
  await holds(`${name} is refused`, () => refuses(async () => counterOf(await agentFor(host, { rootKey }), canisterId).inc()));
}
// 30 bytes into a CBOR byte string of 48 or 64 there is nothing but signature.
await holds('a certificate with one bit of its signature flipped is refused', () =>
  refuses(async () => counterOf(await agentFor(host, { fetch: tampering('/call', 'signature', 32) }), canisterId).inc()));
await holds('a query reply with one bit of its signature flipped is refused', () =>
  refuses(async () => counterOf(await agentFor(host, { fetch: tampering('/query', 'signature', 32) }), canisterId).get()));

process.exit(failures === 0 ? 0 : 1);
