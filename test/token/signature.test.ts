import {
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signRaw,
  verify,
} from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CompactSign, errors, exportJWK, flattenedVerify, generateKeyPair } from 'jose';
import { isSignedWith } from '../../lib/token/signature.js';

const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const SECRETS = ['HS256', 'HS384', 'HS512'];

interface Signed {
  readonly alg: string;
  readonly key: KeyObject;
  readonly token: string;
}

const samples: Signed[] = [];

beforeAll(async () => {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const rsa = await exportJWK(privateKey);
  const rsaPublic = await exportJWK(publicKey);
  for (const alg of ALGORITHMS) {
    const pair = alg.startsWith('E') ? await generateKeyPair(alg, { extractable: true }) : undefined;
    const jwk = pair === undefined ? rsaPublic : await exportJWK(pair.publicKey);
    const token = await sign(alg, pair?.privateKey ?? rsa);
    samples.push({ alg, token, key: createPublicKey({ key: jwk, format: 'jwk' }) });
  }
  for (const alg of SECRETS) {
    const secret = Buffer.alloc(64, alg);
    samples.push({ alg, token: await sign(alg, secret), key: createSecretKey(secret) });
  }
});

function sign(alg: string, key: Parameters<CompactSign['sign']>[0]): Promise<string> {
  return new CompactSign(new TextEncoder().encode('{"sub":"a"}')).setProtectedHeader({ alg }).sign(key);
}

function parse(token: string): { protected: string; payload: string; signature: string } {
  const [protectedHeader = '', payload = '', signature = ''] = token.split('.');
  return { protected: protectedHeader, payload, signature };
}

/** The result of jose: accepted or not. An error that the key does not fit the algorithm counts as "not accepted". */
async function verifyToken(key: KeyObject, token: string): Promise<boolean> {
  try {
    await flattenedVerify(parse(token), key);
    return true;
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof TypeError || error instanceof DOMException) return false;
    throw error;
  }
}

async function verifyWithPackage(key: KeyObject, token: string, alg: string): Promise<boolean> {
  const parts = parse(token);
  const jwt = { header: { alg }, claims: {}, signingInput: `${parts.protected}.${parts.payload}` };
  return isSignedWith([key], { ...jwt, signature: parts.signature });
}

/** The token with another `alg` in its header and the same signature. */
function relabel(token: string, alg: string): string {
  const { payload, signature } = parse(token);
  return `${Buffer.from(JSON.stringify({ alg })).toString('base64url')}.${payload}.${signature}`;
}

describe('the signature check', () => {
  it('accepts signatures of jose for every algorithm', async () => {
    for (const { alg, key, token } of samples) {
      expect({ alg, accepted: await verifyWithPackage(key, token, alg) }).toEqual({ alg, accepted: true });
    }
    expect(samples).toHaveLength(ALGORITHMS.length + SECRETS.length);
  });

  it('agrees with jose for every combination of algorithm, key and signature', async () => {
    for (const signed of samples) {
      for (const { key } of samples) {
        for (const alg of [...ALGORITHMS, ...SECRETS, 'none', 'RS1']) {
          const token = relabel(signed.token, alg);
          const label = `${signed.alg} relabelled ${alg} with a key of type ${key.asymmetricKeyType ?? key.type}`;
          expect([label, await verifyWithPackage(key, token, alg)]).toEqual([label, await verifyToken(key, token)]);
        }
      }
    }
  });

  it('agrees with jose on signatures that are shortened, lengthened, zeroed, changed or re-encoded', async () => {
    const mutation = fc.oneof(
      fc.record({ kind: fc.constant('flip' as const), at: fc.nat(600), bit: fc.nat(7) }),
      fc.record({ kind: fc.constant('cut' as const), at: fc.nat(600), bit: fc.constant(0) }),
      fc.record({ kind: fc.constant('pad' as const), at: fc.nat(40), bit: fc.nat(255) }),
      fc.record({ kind: fc.constant('zero' as const), at: fc.nat(600), bit: fc.constant(0) }),
      fc.record({ kind: fc.constant('ones' as const), at: fc.nat(600), bit: fc.constant(0) }),
      fc.record({ kind: fc.constant('none' as const), at: fc.constant(0), bit: fc.constant(0) }),
    );
    const part = fc.constantFrom('signature' as const, 'payload' as const);
    await fc.assert(
      fc.asyncProperty(fc.nat(samples.length - 1), mutation, part, async (index, how, which) => {
        const sample = samples[index];
        if (sample === undefined) throw new RangeError('no such sample');
        const parts = parse(sample.token);
        const mutated = {
          ...parts,
          [which]: mutate(Buffer.from(parts[which], 'base64url'), how).toString('base64url'),
        };
        const token = `${mutated.protected}.${mutated.payload}.${mutated.signature}`;
        expect(await verifyWithPackage(sample.key, token, sample.alg)).toBe(await verifyToken(sample.key, token));
      }),
      { numRuns: 600 },
    );
  });

  it('rejects a DER-encoded ECDSA signature', async () => {
    const sample = samples.find(({ alg }) => alg === 'ES256');
    if (sample === undefined) throw new RangeError('no such sample');
    const { protected: header, payload, signature } = parse(sample.token);
    const raw = Buffer.from(signature, 'base64url');
    const integer = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([2, bytes.length + 1, 0]), bytes]);
    const body = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))]);
    const der = Buffer.concat([Buffer.from([0x30, body.length]), body]).toString('base64url');
    expect(await verifyWithPackage(sample.key, `${header}.${payload}.${der}`, 'ES256')).toBe(false);
  });

  it.each([
    {
      alg: 'ES256',
      namedCurve: 'P-256',
      hash: 'sha256',
      bytes: 32,
      order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    },
    {
      alg: 'ES384',
      namedCurve: 'P-384',
      hash: 'sha384',
      bytes: 48,
      order: 2n ** 384n - 0x389cb27e0bc8d220a7e5f24db74f58851313e695333ad68dn,
    },
    {
      alg: 'ES512',
      namedCurve: 'P-521',
      hash: 'sha512',
      bytes: 66,
      order: 2n ** 521n - 0x5ae79787c40d069948033feb708f65a2fc44a36477663b851449048e16ec79bf7n,
    },
  ])(
    'agrees with node:crypto on every R and S at the limits, with $alg',
    async ({ alg, namedCurve, hash, bytes, order }) => {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
      const signingInput = 'e30.e30';
      const options = { dsaEncoding: 'ieee-p1363' } as const;
      const accepted = async (signature: Buffer): Promise<boolean> => {
        const result = await isSignedWith([publicKey], {
          header: { alg },
          signingInput,
          signature: signature.toString('base64url'),
        });
        expect(result).toBe(verify(hash, Buffer.from(signingInput), { key: publicKey, ...options }, signature));
        return result;
      };
      const make = (): Buffer => signRaw(hash, Buffer.from(signingInput), { key: privateKey, ...options });
      const [r, s] = [make().subarray(0, bytes), make().subarray(bytes)];
      const numbers = [0n, 1n, order - 1n, order, order + 1n, 2n ** BigInt(bytes * 8) - 1n, 0x80n, 0xffn];
      const texts = numbers.map((number) => Buffer.from(number.toString(16).padStart(bytes * 2, '0'), 'hex'));
      for (const one of [r, ...texts]) {
        for (const other of [s, ...texts]) expect(await accepted(Buffer.concat([one, other]))).toBe(false);
      }
      // One signature in 128 has a number that begins with a zero byte.
      for (let found = 0; found < 3;) {
        const signature = make();
        expect(signature).toHaveLength(bytes * 2);
        if (signature[0] === 0 || signature[bytes] === 0) found++;
        if (signature[0] === 0 || signature[bytes] === 0) expect(await accepted(signature)).toBe(true);
      }
      const valid = make();
      const rest = order - BigInt(`0x${valid.subarray(bytes).toString('hex')}`);
      const mirrored = Buffer.from(rest.toString(16).padStart(bytes * 2, '0'), 'hex');
      expect(await accepted(valid)).toBe(true);
      // ECDSA accepts both; nothing may depend on a signature being the only one.
      expect(await accepted(Buffer.concat([valid.subarray(0, bytes), mirrored]))).toBe(true);
      for (const wrong of [valid.subarray(1), Buffer.concat([valid, Buffer.from([0])]), Buffer.alloc(0)]) {
        expect(await accepted(wrong)).toBe(false);
      }
    },
  );

  it.each([
    ['RS256', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['ES256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ])('does not block the process while it tries many keys for %s', async (alg, makeKeys) => {
    const others = Array.from({ length: 9 }, () => makeKeys().publicKey);
    const { privateKey, publicKey } = makeKeys();
    const { protected: header, payload, signature } = parse(await sign(alg, privateKey));
    const jwt = { header: { alg }, signingInput: `${header}.${payload}`, signature };
    expect(isSignedWith([...others.slice(0, 3), publicKey], jwt)).toBe(true);
    expect(isSignedWith(others.slice(0, 4), jwt)).toBe(false);
    const result = isSignedWith([...others, publicKey], jwt);
    expect(result).toHaveProperty('then');
    expect(await result).toBe(true);
    expect(await isSignedWith(others, jwt)).toBe(false);
  });

  it('rejects an RSA key of less than 2048 bits', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const signingInput = 'e30.e30';
    const signature = signRaw('sha256', Buffer.from(signingInput), privateKey).toString('base64url');
    const jwt = { header: { alg: 'RS256' }, claims: {}, signingInput, signature };
    expect(await isSignedWith([publicKey], jwt)).toBe(false);
  });
});

function mutate(bytes: Buffer, how: { kind: string; at: number; bit: number }): Buffer {
  const copy = Buffer.from(bytes);
  const at = how.at % Math.max(1, copy.length);
  switch (how.kind) {
    case 'flip':
      copy[at] = (copy[at] ?? 0) ^ (1 << how.bit);
      return copy;
    case 'cut':
      return copy.subarray(0, at);
    case 'pad':
      return Buffer.concat([copy, Buffer.alloc(how.at + 1, how.bit)]);
    case 'zero':
      return copy.fill(0, at);
    case 'ones':
      return copy.fill(0xff, at);
    default:
      return copy;
  }
}
