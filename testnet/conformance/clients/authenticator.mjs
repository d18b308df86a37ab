// An authenticator in software, behind the browser's interface: enough of `navigator.credentials` for the stock
// WebAuthnIdentity to register keys and sign with them, as W3C Web Authentication has it.
import crypto from 'node:crypto';
import { Cbor } from '@icp-sdk/core/agent';

const ORIGIN = 'https://wallet.example';
const RP_ID_HASH = crypto.createHash('sha256').update('wallet.example').digest();
const USER_PRESENT_AND_VERIFIED = 0x05;
const WITH_KEY = 0x40;

const keys = new Map();

/** CBOR of a byte string in canonical form. */
const bytes = (value) => {
  const { length } = value;
  const head = length < 24 ? [0x40 + length] : length < 256 ? [0x58, length] : [0x59, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), value]);
};
const hex = (text) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const unbase64 = (text) => Buffer.from(text, 'base64url');

/** What each COSE algorithm needs: a new key pair, its public half as a COSE key, a signature. */
const algorithms = {
  [-7]: {
    generate: () => crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    cose: ({ x, y }) =>
      Buffer.concat([hex('a5 0102 0326 2001 21'), bytes(unbase64(x)), hex('22'), bytes(unbase64(y))]),
    sign: (message, key) => crypto.sign('sha256', message, key),
  },
  [-8]: {
    generate: () => crypto.generateKeyPairSync('ed25519'),
    cose: ({ x }) => Buffer.concat([hex('a4 0101 0327 2006 21'), bytes(unbase64(x))]),
    sign: (message, key) => crypto.sign(null, message, key),
  },
  [-257]: {
    generate: () => crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }),
    cose: ({ n, e }) =>
      Buffer.concat([hex('a4 0103 03390100 20'), bytes(unbase64(n)), hex('21'), bytes(unbase64(e))]),
    sign: (message, key) => crypto.sign('sha256', message, key),
  },
};

/** A buffer of its own, as browsers hand them out. */
const own = (buffer) => Uint8Array.from(buffer).buffer;

function authenticatorData(flags, counter, more = Buffer.alloc(0)) {
  const count = Buffer.alloc(4);
  count.writeUInt32BE(counter);
  return Buffer.concat([RP_ID_HASH, Buffer.from([flags]), count, more]);
}

function clientData(type, challenge) {
  const view = ArrayBuffer.isView(challenge) ? Buffer.from(challenge.buffer, challenge.byteOffset, challenge.byteLength) : Buffer.from(challenge);
  return Buffer.from(JSON.stringify({ type, challenge: view.toString('base64url'), origin: ORIGIN, crossOrigin: false }));
}

const credentials = {
  async create({ publicKey }) {
    const { alg } = publicKey.pubKeyCredParams[0];
    const { privateKey, publicKey: shown } = algorithms[alg].generate();
    const id = crypto.randomBytes(16);
    keys.set(id.toString('hex'), { alg, privateKey, counter: 0 });
    const cose = algorithms[alg].cose(shown.export({ format: 'jwk' }));
    const length = Buffer.from([0, id.length]);
    const authData = authenticatorData(USER_PRESENT_AND_VERIFIED | WITH_KEY, 0, Buffer.concat([Buffer.alloc(16), length, id, cose]));
    const attestationObject = Cbor.encode({ fmt: 'none', attStmt: {}, authData: Uint8Array.from(authData) });
    return {
      id: id.toString('base64url'),
      rawId: own(id),
      type: 'public-key',
      authenticatorAttachment: 'platform',
      response: { attestationObject: own(attestationObject), clientDataJSON: own(clientData('webauthn.create', publicKey.challenge)) },
      getClientExtensionResults: () => ({}),
      toJSON: () => ({}),
    };
  },

  async get({ publicKey }) {
    const [{ id }] = publicKey.allowCredentials;
    const key = keys.get(Buffer.from(id).toString('hex'));
    key.counter += 1;
    const data = authenticatorData(USER_PRESENT_AND_VERIFIED, key.counter);
    const json = clientData('webauthn.get', publicKey.challenge);
    const signed = Buffer.concat([data, crypto.createHash('sha256').update(json).digest()]);
    return {
      type: 'public-key',
      authenticatorAttachment: 'platform',
      response: { authenticatorData: own(data), clientDataJSON: own(json), signature: own(algorithms[key.alg].sign(signed, key.privateKey)) },
    };
  },
};

Object.defineProperty(globalThis, 'navigator', { value: { credentials }, configurable: true });

/** What a site asks for to register a key of one algorithm: -7 ES256, -8 EdDSA, -257 RS256. */
export const asking = (alg) => ({
  publicKey: {
    challenge: crypto.randomBytes(32),
    pubKeyCredParams: [{ type: 'public-key', alg }],
    rp: { name: 'Wallet' },
    user: { id: crypto.randomBytes(16), name: 'user', displayName: 'User' },
  },
});
