// What the clients share: the counter's interface, identities, and an agent for one host.
import { Actor, AnonymousIdentity, HttpAgent } from '@icp-sdk/core/agent';
import { Delegation, DelegationChain, DelegationIdentity, ECDSAKeyIdentity, Ed25519KeyIdentity, WebAuthnIdentity } from '@icp-sdk/core/identity';
import { Secp256k1KeyIdentity } from '@icp-sdk/core/identity/secp256k1';
import { asking } from './authenticator.mjs';

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

/** The part of `sdk/examples/issuer.did` that logins need. */
const issuerIdl = ({ IDL }) => {
  const blob = IDL.Vec(IDL.Nat8);
  const signed = [blob, blob, IDL.Nat64, IDL.Opt(IDL.Vec(IDL.Principal))];
  return IDL.Service({
    key: IDL.Func([blob], [blob], ['query']),
    delegate: IDL.Func(signed, [], []),
    delegation_signature: IDL.Func(signed, [blob], ['query']),
  });
};

/** A session that a canister vouches for, as Internet Identity does. `bend` may change what the issuer signed. */
export async function login(host, issuerId, targets, bend = (delegation) => delegation) {
  const issuer = Actor.createActor(issuerIdl, { agent: await agentFor(host), canisterId: issuerId });
  const session = Ed25519KeyIdentity.generate();
  const [seed, pubkey] = [new TextEncoder().encode('a user'), session.getPublicKey().toDer()];
  const expiration = BigInt(Date.now() + 600_000) * 1_000_000n;
  const asked = [seed, pubkey, expiration, targets ? [targets] : []];
  await issuer.delegate(...asked);
  const signature = Uint8Array.from(await issuer.delegation_signature(...asked));
  const delegation = bend(new Delegation(pubkey, expiration, targets));
  const chain = DelegationChain.fromDelegations([{ delegation, signature }], Uint8Array.from(await issuer.key(seed)));
  return DelegationIdentity.fromDelegation(session, chain);
}

/** One identity of every kind that browsers and Node use, by name. The delegated one may speak to this canister only. */
export async function identities(canisterId) {
  const ed25519 = Ed25519KeyIdentity.generate();
  const session = Ed25519KeyIdentity.generate();
  const inAnHour = new Date(Date.now() + 3_600_000);
  const chain = await DelegationChain.create(ed25519, session.getPublicKey(), inAnHour, { targets: [canisterId] });
  const passkey = await WebAuthnIdentity.create();
  const fromPasskey = await DelegationChain.create(passkey, session.getPublicKey(), inAnHour);
  return {
    anonymous: new AnonymousIdentity(),
    ed25519,
    p256: await ECDSAKeyIdentity.generate(),
    secp256k1: Secp256k1KeyIdentity.generate(),
    delegated: DelegationIdentity.fromDelegation(session, chain),
    'passkey, ES256': passkey,
    'passkey, EdDSA': await WebAuthnIdentity.create(asking(-8)),
    'passkey, RS256': await WebAuthnIdentity.create(asking(-257)),
    'session of a passkey': DelegationIdentity.fromDelegation(session, fromPasskey),
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

/** Host and canister ids from the command line; ends the process with usage when the first two are missing. */
export function fromCommandLine() {
  const [, script, host, canisterId, issuerId] = process.argv;
  if (!host || !canisterId) {
    console.error(`usage: node ${script.split('/').pop()} HOST CANISTER_ID [ISSUER_ID]`);
    process.exit(2);
  }
  return { host, canisterId, issuerId };
}
