import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { exportJWK, generateKeyPair, type GenerateKeyPairResult, type JWK, SignJWT } from 'jose';
import {
  type AccessToken,
  createAccessToken,
  InvalidTokenError,
  introspectionVerifier,
  type IntrospectionVerifierOptions,
  jwtVerifier,
  type JwtVerifierOptions,
  ResourceServerError,
} from '../../lib/index.js';

/** The values that a token must have, or the reasons with which it is rejected. */
type Right =
  | { readonly accepted: false; readonly reasons: readonly string[] }
  | {
      readonly accepted: true;
      readonly clientId: string | null;
      readonly subject: string | null;
      readonly isMachine: boolean;
      readonly isUser: boolean;
      readonly scopes: readonly string[];
      readonly audience: readonly string[];
    };

interface Shape {
  readonly name: string;
  readonly vendor: string;
  readonly kind: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly right: Right;
}

interface JwtShape extends Shape {
  readonly header: { readonly alg: string };
  readonly claims: Readonly<Record<string, unknown>>;
  /** Members to add to the JWK. */
  readonly jwk?: Readonly<Record<string, unknown>>;
  readonly dropKid?: boolean;
  readonly padJwk?: boolean;
}

interface IntrospectionShape extends Shape {
  readonly response: Readonly<Record<string, unknown>>;
}

interface MetadataShape {
  readonly name: string;
  readonly issuerPath: string;
  readonly at: string;
  readonly document: unknown;
  readonly jwksPath?: string;
  readonly jwksType?: string;
  readonly ready: boolean;
}

function load<T>(kind: string): T[] {
  return JSON.parse(readFileSync(new URL(`token-shapes/${kind}.json`, import.meta.url), 'utf8')) as T[];
}

/** Replaces `$now`, `$now+N` and `$now-N` by times. */
function withTimes<T>(value: T): T {
  const now = Math.floor(Date.now() / 1000);
  return JSON.parse(JSON.stringify(value), (_key, member: unknown) => {
    const match = typeof member === 'string' ? /^\$now([+-]\d+)?$/.exec(member) : null;
    return match === null ? member : now + Number(match[1] ?? 0);
  }) as T;
}

const keys = new Map<string, Promise<GenerateKeyPairResult>>();

function keyPair(alg: string): Promise<GenerateKeyPairResult> {
  const pair = keys.get(alg) ?? generateKeyPair(alg, { extractable: true });
  keys.set(alg, pair);
  return pair;
}

async function verifyJwt(shape: JwtShape, claims = shape.claims): Promise<AccessToken> {
  const { header, options, jwk = {}, dropKid = false, padJwk = false } = withTimes(shape);
  const jwt = new SignJWT(withTimes(claims)).setProtectedHeader(header);
  if (typeof options.secret === 'string') {
    const token = await jwt.sign(Buffer.from(options.secret));
    return jwtVerifier(options as unknown as JwtVerifierOptions).verify(token);
  }
  const { privateKey, publicKey } = await keyPair(header.alg);
  const key: JWK = { ...(await exportJWK(publicKey)), ...(dropKid ? {} : { kid: 'k1' }), ...jwk };
  if (padJwk && key.n !== undefined) key.n += '='.repeat((4 - (key.n.length % 4)) % 4);
  const verifier = jwtVerifier({ ...options, jwks: { keys: [key] } } as unknown as JwtVerifierOptions);
  return verifier.verify(await jwt.sign(privateKey));
}

async function introspect(shape: IntrospectionShape, response = shape.response): Promise<AccessToken> {
  const verifier = introspectionVerifier({
    ...shape.options,
    introspectionEndpoint: 'https://as.example.test/introspect',
    clientId: 'api',
    clientSecret: 'secret',
    fetch: () => Promise.resolve(Response.json(withTimes(response))),
  } as unknown as IntrospectionVerifierOptions);
  return verifier.verify('opaque');
}

async function expectRight(right: Right, verify: () => Promise<AccessToken>): Promise<void> {
  if (!right.accepted) {
    const error: unknown = await verify().then(
      () => undefined,
      (failure: unknown) => failure,
    );
    expect(error).toBeInstanceOf(InvalidTokenError);
    expect(right.reasons).toContain((error as InvalidTokenError).reason);
    return;
  }
  const { clientId, subject, isMachine, isUser, scopes, audience } = await verify();
  expect({ clientId, subject, isMachine, isUser, scopes: [...scopes].sort(), audience: [...audience].sort() }).toEqual({
    clientId: right.clientId ?? undefined,
    subject: right.subject ?? undefined,
    isMachine: right.isMachine,
    isUser: right.isUser,
    scopes: [...right.scopes].sort(),
    audience: [...right.audience].sort(),
  });
}

const jwts = load<JwtShape>('jwt');
const responses = load<IntrospectionShape>('introspection');

describe('a JWT', () => {
  it.each(jwts)('of $vendor ($name) is read correctly', async (shape) => {
    await expectRight(shape.right, () => verifyJwt(shape));
  });
});

describe('an introspection response', () => {
  it.each(responses)('of $vendor ($name) is read correctly', async (shape) => {
    await expectRight(shape.right, () => introspect(shape));
  });
});

describe('a metadata document', () => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((close) => close()));
  });

  async function listen(listener: RequestListener): Promise<string> {
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => new Promise((resolve) => server.close(resolve)));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  it.each(load<MetadataShape>('metadata'))('$name makes the verifier ready: $ready', async (shape) => {
    const { publicKey } = await keyPair('ES256');
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k1' }] };
    const origin = await listen((req, res) => {
      const answers = new Map([
        [shape.at, ['application/json', JSON.stringify(shape.document).replaceAll('$B', origin)]],
        [shape.jwksPath ?? '/jwks', [shape.jwksType ?? 'application/json', JSON.stringify(jwks)]],
      ] as const);
      const [type, body] = answers.get(req.url ?? '') ?? [];
      if (type === undefined) res.writeHead(404).end();
      else res.writeHead(200, { 'Content-Type': type, Connection: 'close' }).end(body);
    });
    const verifier = jwtVerifier({ issuer: `${origin}${shape.issuerPath}`, audience: 'api' });
    const isReady = await verifier.ready().then(
      () => true,
      () => false,
    );
    await verifier.close();
    expect(isReady).toBe(shape.ready);
  });
});

type ClaimChange = (value: unknown) => unknown;

/** Everything that a server, or somebody between, may do to one claim. */
const CHANGES: readonly [string, ClaimChange][] = [
  ['null', () => null],
  ['a number', () => 7],
  ['true', () => true],
  ['an object', () => ({ a: 1 })],
  ['empty', () => ''],
  ['an empty array', () => []],
  ['wrapped into an array', (value) => [value]],
  ['wrapped twice', (value) => [[value]]],
];

// Marks of a person: without one of them, what is left may be a machine's token.
const PERSONAL = [
  ...['sid', 'amr', 'username', 'preferred_username', 'name', 'given_name', 'family_name', 'nonce', 'act'],
  ...['gty', 'grant_type', 'idtyp', 'aut'],
];

describe('a changed claim', () => {
  const shapes = [
    ...jwts.filter(({ right }) => right.accepted).map((shape) => ({ shape, claims: shape.claims, isJwt: true })),
    ...responses.map((shape) => ({ shape, claims: shape.response, isJwt: false })),
  ];

  it('never makes a machine of another caller, and only throws errors of this package', async () => {
    const property = fc.asyncProperty(
      fc.constantFrom(...shapes),
      fc.nat(),
      fc.constantFrom(...CHANGES),
      async ({ shape, claims, isJwt }, index, [, change]) => {
        const names = Object.keys(claims);
        const name = names[index % names.length] ?? '';
        const changed = { ...claims, [name]: change(claims[name]) };
        const verifying = isJwt
          ? verifyJwt(shape as JwtShape, changed)
          : introspect(shape as IntrospectionShape, changed);
        const result = await verifying.catch((error: unknown) => error);
        if (result instanceof Error) {
          expect(result).toBeInstanceOf(ResourceServerError);
          return;
        }
        const wasMachine = shape.right.accepted && shape.right.isMachine;
        if (!wasMachine && !PERSONAL.includes(name)) expect((result as AccessToken).isMachine).toBe(false);
      },
    );
    await fc.assert(property, { numRuns: 600 });
  });
});

describe('who is calling', () => {
  const caller = (claims: Record<string, unknown>, options = {}): unknown => {
    const { isMachine, isUser } = createAccessToken({ iss: 'https://as.example.test', ...claims }, options);
    return isMachine && isUser ? 'both' : isMachine ? 'machine' : isUser ? 'user' : 'unknown';
  };
  const client = { client_id: 'batch' };

  it.each<[string, Record<string, unknown>, string]>([
    ['nothing but a scope', { scope: 'a', ...client }, 'unknown'],
    ['a subject that is the client', { sub: 'batch', ...client }, 'machine'],
    ['a subject that is another', { sub: 'p1', ...client }, 'unknown'],
    ['a subject that is the client, with a name', { sub: 'batch', name: 'B', ...client }, 'unknown'],
    ['a subject that is the client, with a session', { sub: 'batch', sid: 's', ...client }, 'unknown'],
    ['a subject that is the client, with a user name', { sub: 'batch', username: 'batch', ...client }, 'unknown'],
    ['a user name with a client', { username: 'p1', sub: 'u', ...client }, 'user'],
    ['a user name without a client', { username: 'p1', sub: 'u' }, 'unknown'],
    ['a user name that is the client', { username: 'batch', sub: 'u', ...client }, 'unknown'],
    ['a user name of the client at a host', { username: 'batch@host', sub: 'u', ...client }, 'unknown'],
    ['a chosen service account name', { username: 'service-account-x', sub: 'u', ...client }, 'unknown'],
    ['a service account', { preferred_username: 'service-account-batch', sub: 'u', ...client }, 'machine'],
    [
      'two user names, one of a service account',
      { preferred_username: 'service-account-batch', username: 'p1', sub: 'u', ...client },
      'user',
    ],
    ['a statement: client credentials', { gty: 'client-credentials', sid: 's', sub: 'p' }, 'machine'],
    ['a statement: several grants', { gty: ['client_credentials', 'refresh_token'], sub: 'p' }, 'unknown'],
    ['a statement: a person among the grants', { grant_type: ['authorization_code', 'refresh_token'] }, 'user'],
    ['a statement: a device', { grant_type: 'urn:ietf:params:oauth:grant-type:device_code' }, 'user'],
    ['statements that disagree', { idtyp: 'app', aut: 'APPLICATION_USER' }, 'unknown'],
    ['methods of a person', { amr: ['pwd'], sub: 'p' }, 'user'],
    ['methods of a key', { amr: ['hwk', 'pop'], sub: 'p' }, 'unknown'],
    ['an e-mail address', { email: 'p@example.test', auth_time: 1, acr: '1', uid: 1, sub: 'p' }, 'unknown'],
    ['openid among the scopes', { scope: 'openid', sub: 'batch', ...client }, 'machine'],
    ['an actor that is the client', { sub: 'batch', act: { sub: 'batch' }, ...client }, 'machine'],
    ['another actor', { sub: 'batch', act: { sub: 'other' }, ...client }, 'unknown'],
    ['a person through the client', { sub: 'batch', act: { sub: 'p1', client_id: 'batch' }, ...client }, 'unknown'],
    ['an actor that cannot be read', { sub: 'batch', act: 'x', ...client }, 'unknown'],
    ['two different clients', { sub: 'batch', azp: 'web', ...client }, 'unknown'],
  ])('is found for %s', (_what, claims, expected) => {
    expect(caller(claims)).toBe(expected);
  });

  it('is decided by the options isMachine and isUser, each for one value', () => {
    const claims = { sub: 'p', ...client };
    expect(caller(claims, { isMachine: () => true })).toBe('machine');
    expect(caller(claims, { isUser: () => true })).toBe('user');
    expect(caller(claims, { isMachine: () => true, isUser: () => true })).toBe('unknown');
    expect(caller({ ...claims, act: { sub: 'x' } }, { isMachine: () => true })).toBe('unknown');
  });

  it('has the outermost actor', () => {
    const act = { sub: 'agent', client_id: 'gateway', iss: 'https://as.example.test', act: { sub: 'earlier' } };
    expect(createAccessToken({ iss: 'x', act }).actor).toEqual({
      subject: 'agent',
      clientId: 'gateway',
      issuer: 'https://as.example.test',
    });
    expect(createAccessToken({ iss: 'x' }).actor).toBeUndefined();
  });
});

describe('only access tokens', () => {
  const opaque = responses.find(({ name }) => name === 'openiddict-introspection');
  const jwt = jwts.find(({ name }) => name === 'okta-machine');
  const kinds = [
    ...['token_use', 'token_usage', 'token_type', 'tokenName', 'typ', 'purpose'].flatMap((name) =>
      ['id', 'ID', 'id_token', 'Refresh', 'refresh_token', 'Offline', 'Logout', 'logout_token'].map(
        (value): [string, Record<string, unknown>] => [`${name} ${value}`, { [name]: value }],
      ),
    ),
    ...([
      ['a URN', { token_type: 'urn:ietf:params:oauth:token-type:id_token' }],
      ['a kind in an array', { token_use: ['id'] }],
      ['at_hash', { at_hash: 'x' }],
      ['c_hash', { c_hash: 'x' }],
      ['s_hash', { s_hash: 'x' }],
      ['events', { events: {} }],
      ['an authorization response', { code: 'x', state: 'y' }],
      [
        'a nonce without client and scope',
        { nonce: 'n', client_id: undefined, cid: undefined, scp: undefined, scope: undefined },
      ],
    ] as [string, Record<string, unknown>][]),
  ];

  it.each(kinds)('are accepted: not %s', async (_what, changes) => {
    if (opaque === undefined || jwt === undefined) throw new Error('a shape is missing');
    for (const verify of [
      () => introspect(opaque, { ...opaque.response, ...changes }),
      () => verifyJwt(jwt, { ...jwt.claims, ...changes }),
    ]) {
      await expect(verify()).rejects.toMatchObject({ reason: expect.stringMatching(/^(id_token|type_refused)$/) });
    }
  });

  it.each<[string, Record<string, unknown>]>([
    ['token_type access_token', { token_type: 'access_token' }],
    ['token_type Bearer', { token_type: 'Bearer' }],
    ['typ at', { typ: 'at' }],
    ['a nonce with azp', { nonce: 'n' }],
    ['state without code', { state: 'x' }],
    ['null members', { at_hash: null, events: null, token_use: null }],
  ])('are accepted: %s', async (_what, changes) => {
    if (opaque === undefined || jwt === undefined) throw new Error('a shape is missing');
    await expect(introspect(opaque, { ...opaque.response, ...changes })).resolves.toBeDefined();
    await expect(verifyJwt(jwt, { ...jwt.claims, ...changes })).resolves.toBeDefined();
  });

  it('and ID tokens are accepted with allowIdTokens, but no refresh token', async () => {
    const dex = jwts.find(({ name }) => name === 'dex-access');
    if (dex === undefined) throw new Error('a shape is missing');
    const allowing = { ...dex, options: { ...dex.options, allowIdTokens: true } };
    await expect(verifyJwt(allowing)).resolves.toMatchObject({ subject: expect.any(String) });
    await expect(verifyJwt(allowing, { ...dex.claims, token_use: 'refresh' })).rejects.toMatchObject({
      reason: 'type_refused',
    });
  });
});
