import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import {
  createAccessToken,
  type IssuerResolver,
  jwtVerifier,
  memoryStore,
  type ResolvedIssuer,
  type Store,
  type TokenVerifier,
  trustedIssuers,
} from '../../lib/index.js';
import { snapshotOf } from '../../lib/verify/options-snapshot.js';
import { base64url, signWithSecret, startIssuer, verifyAsync } from '../support/helpers.js';
import { movableClock } from '../support/introspection.js';

const clientSecret = (): string => 'secret';
const [key, otherKey] = [1, 2].map(() => generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);
const plainStore = memoryStore();

class OwnStore implements Store {
  get(): Promise<unknown> {
    return Promise.resolve(undefined);
  }
  set(): Promise<void> {
    return Promise.resolve();
  }
  add(): Promise<boolean> {
    return Promise.resolve(true);
  }
  delete(): Promise<void> {
    return Promise.resolve();
  }
}

class Tenant {
  readonly issuer = 'a';
  audience: string;

  constructor(audience: string) {
    this.audience = audience;
  }
}

const store = new OwnStore();
const cyclic: Record<string, unknown> = { issuer: 'a' };
cyclic.self = cyclic;

describe('a snapshot of options', () => {
  it.each<[string, unknown, unknown]>([
    ['objects with equal content', { issuer: 'a', keys: { maxStale: 5 } }, { keys: { maxStale: 5 }, issuer: 'a' }],
    ['an option that is undefined and one that is left out', { issuer: 'a', jwks: undefined }, { issuer: 'a' }],
    ['equal arrays', { audience: ['a', 'b'] }, { audience: ['a', 'b'] }],
    ['equal URLs', { audience: new URL('https://a.example') }, { audience: new URL('https://a.example/') }],
    ['equal bytes', { secret: Buffer.from('abc') }, { secret: Uint8Array.from([97, 98, 99]) }],
    [
      'equal keys',
      { publicKey: key },
      { publicKey: createPublicKey(key?.export({ type: 'spki', format: 'pem' }) ?? '') },
    ],
    ['the same function', { clientSecret }, { clientSecret }],
    ['the same store', { store }, { store }],
    ['stores with the same functions', { store: plainStore }, { store: { ...plainStore } }],
    ['an object without a prototype', Object.assign(Object.create(null), { issuer: 'a' }), { issuer: 'a' }],
    ['instances with equal members', new Tenant('a'), new Tenant('a')],
    ['an object that contains itself', cyclic, cyclic],
    ['nothing', undefined, undefined],
  ])('is equal for %s', (_, one, other) => {
    expect(isDeepStrictEqual(snapshotOf(one), snapshotOf(other))).toBe(true);
  });

  const verifier: TokenVerifier = { issuer: 'a', verify: () => createAccessToken({ iss: 'a' }) };

  it.each<[string, unknown, unknown]>([
    ['other values', { issuer: 'a' }, { issuer: 'b' }],
    ['another type', { clockTolerance: 1 }, { clockTolerance: '1' }],
    ['an option more', { issuer: 'a' }, { issuer: 'a', profile: 'fapi2' }],
    ['another order of an array', { audience: ['a', 'b'] }, { audience: ['b', 'a'] }],
    ['an array and an object', { audience: ['a'] }, { audience: { 0: 'a' } }],
    ['other URLs', { audience: new URL('https://a.example') }, { audience: new URL('https://b.example') }],
    ['a URL and text', { audience: new URL('https://a.example/') }, { audience: 'https://a.example/' }],
    ['other bytes', { secret: Buffer.from('abc') }, { secret: Buffer.from('abd') }],
    ['other keys', { publicKey: key }, { publicKey: otherKey }],
    ['other functions with equal text', { clientSecret: () => 'x' }, { clientSecret: () => 'x' }],
    ['other instances of a store', { store }, { store: new OwnStore() }],
    ['other stores', { store: plainStore }, { store: memoryStore() }],
    ['other verifiers with the same functions', verifier, { ...verifier }],
    ['an entry with another verifier', { verifier, scopes: ['a'] }, { verifier: { ...verifier }, scopes: ['a'] }],
    ['instances with other members', new Tenant('a'), new Tenant('b')],
    ['options and nothing', { issuer: 'a' }, undefined],
  ])('differs for %s', (_, one, other) => {
    expect(isDeepStrictEqual(snapshotOf(one), snapshotOf(other))).toBe(false);
  });

  it.each<[string, Record<string, unknown>, (options: Record<string, unknown>) => void]>([
    ['a value', { audience: 'a' }, (options) => (options.audience = 'b')],
    ['an item', { audience: ['a'] }, ({ audience }) => ((audience as string[])[0] = 'b')],
    ['a new item', { audience: ['a'] }, ({ audience }) => (audience as string[]).push('b')],
    ['a removed option', { profile: 'fapi2' }, (options) => delete options.profile],
    ['a nested value', { keys: { maxStale: 5 } }, ({ keys }) => ((keys as Record<string, number>).maxStale = 6)],
    ['a URL', { audience: new URL('https://a.example') }, ({ audience }) => ((audience as URL).pathname = '/b')],
    ['a byte', { secret: Buffer.from('abc') }, ({ secret }) => ((secret as Buffer)[0] = 0)],
    ['a key of a set', { jwks: { keys: [{}] } }, ({ jwks }) => (jwks as { keys: object[] }).keys.push({})],
  ])('does not follow a change in place of %s', (_, options, change) => {
    const before = snapshotOf(options);
    change(options);
    expect(isDeepStrictEqual(before, snapshotOf(options))).toBe(false);
  });
});

describe('a resolver that changes its object in place', () => {
  const MAX_AGE = 60;

  it('takes effect after maxAge: an audience', async () => {
    const issuer = await startIssuer();
    const time = movableClock(issuer.now);
    const options = { issuer: issuer.url, audience: ['one', 'two'] };
    const verifier = trustedIssuers(() => options, { maxAge: MAX_AGE, clock: time.clock });
    const token = await issuer.issue({ aud: 'two' });
    await expect(verifyAsync(verifier, token)).resolves.toMatchObject({ audience: ['two'] });
    options.audience.pop();
    time.now += MAX_AGE;
    await expect(verifyAsync(verifier, token)).rejects.toMatchObject({ reason: 'audience_mismatch' });
    await verifier.close();
  });

  it('takes effect after maxAge: a secret that was erased', async () => {
    const time = movableClock();
    const secret = Buffer.alloc(32, 7);
    const given = Buffer.from(secret);
    const resolve: IssuerResolver = () => ({ issuer: 'a', audience: 'x', secret: given, clock: time.clock });
    const verifier = trustedIssuers(resolve, { maxAge: MAX_AGE, clock: time.clock });
    const token = signWithSecret(256, { iss: 'a', aud: 'x', exp: time.now + 600 }, secret);
    await expect(verifyAsync(verifier, token)).resolves.toMatchObject({ issuer: 'a' });
    given.fill(0);
    time.now += MAX_AGE;
    await expect(verifyAsync(verifier, token)).rejects.toMatchObject({ reason: 'signature_mismatch' });
  });

  it('takes effect after maxAge: the scopes and clients of an entry', async () => {
    const issuer = await startIssuer();
    const time = movableClock(issuer.now);
    const entry = {
      verifier: jwtVerifier({ issuer: issuer.url, audience: issuer.audience }),
      scopes: ['read', 'write'],
      clients: ['client-1'],
    };
    const verifier = trustedIssuers((): ResolvedIssuer => entry, { maxAge: MAX_AGE, clock: time.clock });
    const token = await issuer.issue({ scope: 'read write' });
    await expect(verifyAsync(verifier, token)).resolves.toMatchObject({ scopes: ['read', 'write'] });
    entry.scopes.pop();
    time.now += MAX_AGE;
    await expect(verifyAsync(verifier, token)).resolves.toMatchObject({ scopes: ['read'] });
    entry.clients[0] = 'client-2';
    time.now += MAX_AGE;
    await expect(verifyAsync(verifier, token)).rejects.toMatchObject({ reason: 'rejected' });
    await entry.verifier.close();
  });

  it('keeps the verifier, and all that it has cached, if nothing changed', async () => {
    const issuer = await startIssuer();
    const time = movableClock(issuer.now);
    const resolve: IssuerResolver = () => ({ issuer: issuer.url, audience: [issuer.audience], keys: { maxStale: 60 } });
    const verifier = trustedIssuers(resolve, { maxAge: MAX_AGE, clock: time.clock });
    const token = await issuer.issue();
    const result = await verifyAsync(verifier, token);
    time.now += MAX_AGE;
    expect(await verifyAsync(verifier, token)).toBe(result);
    expect(issuer.requests.jwks).toBe(1);
    await verifier.close();
  });

  it('does not close a verifier of its own', async () => {
    const time = movableClock();
    const closed: string[] = [];
    const own = (name: string): TokenVerifier => ({
      issuer: 'a',
      verify: () => Promise.resolve(createAccessToken({ iss: 'a', sub: name })),
      close: () => void closed.push(name),
    });
    let current: ResolvedIssuer = own('one');
    const verifier = trustedIssuers(() => current, { maxAge: MAX_AGE, clock: time.clock });
    const token = `${base64url('{"alg":"ES256"}')}.${base64url('{"iss":"a"}')}.AAAA`;
    await expect(verifyAsync(verifier, token)).resolves.toMatchObject({ subject: 'one' });
    current = { verifier: own('two') };
    time.now += MAX_AGE;
    await expect(verifyAsync(verifier, token)).resolves.toMatchObject({ subject: 'two' });
    current = own('three');
    time.now += MAX_AGE;
    await expect(verifyAsync(verifier, token)).resolves.toMatchObject({ subject: 'three' });
    expect(closed).toEqual([]);
  });
});
