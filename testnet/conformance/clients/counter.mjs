// What the clients share: the counter's interface, identities, and an agent for one host.
import { Actor, AnonymousIdentity, HttpAgent } from '@icp-sdk/core/agent';
import { DelegationChain, DelegationIdentity, ECDSAKeyIdentity, Ed25519KeyIdentity } from '@icp-sdk/core/identity';
import { Secp256k1KeyIdentity } from '@icp-sdk/core/identity/secp256k1';

/** The interface of `sdk/examples/counter.did`. */
const idl = ({ IDL }) =>
  IDL.Service({
    inc: IDL.Func([], [IDL.Nat], []),
    add: IDL.Func([IDL.Nat], [IDL.Nat], []),
    get: IDL.Func([], [IDL.Nat], ['query']),
    whoami: IDL.Func([], [IDL.Principal], ['query']),
    trap_after_write: IDL.Func([], [], []),
    burn: IDL.Func([IDL.Nat64], [IDL.Nat64], []),
    tick_every: IDL.Func([IDL.Nat32], [], []),
    ticks: IDL.Func([], [IDL.Nat], ['query']),
  });

/** One identity of every kind that browsers and Node use, by name. The delegated one may speak to this canister only. */
export async function identities(canisterId) {
  const ed25519 = Ed25519KeyIdentity.generate();
  const session = Ed25519KeyIdentity.generate();
  const inAnHour = new Date(Date.now() + 3_600_000);
  const chain = await DelegationChain.create(ed25519, session.getPublicKey(), inAnHour, { targets: [canisterId] });
  return {
    anonymous: new AnonymousIdentity(),
    ed25519,
    p256: await ECDSAKeyIdentity.generate(),
    secp256k1: Secp256k1KeyIdentity.generate(),
    delegated: DelegationIdentity.fromDelegation(session, chain),
  };
}

/** An agent that verifies certificates and query signatures. Without a root key it asks the host for one. */
export function agentFor(host, options = {}) {
  const trust = options.rootKey ? {} : { shouldFetchRootKey: true };
  return HttpAgent.create({ host, verifyQuerySignatures: true, retryTimes: 3, ...trust, ...options });
}

/** The counter as a typed object whose methods make calls. */
export function counterOf(agent, canisterId) {
  return Actor.createActor(idl, { agent, canisterId });
}

/** Host and canister id from the command line; ends the process with usage when they are missing. */
export function fromCommandLine() {
  const [, script, host, canisterId] = process.argv;
  if (!host || !canisterId) {
    console.error(`usage: node ${script.split('/').pop()} HOST CANISTER_ID`);
    process.exit(2);
  }
  return { host, canisterId };
}
