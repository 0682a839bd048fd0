import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CompactSign, exportJWK, generateKeyPair, type GenerateKeyPairResult, type JWK } from 'jose';
import {
  type AccessToken,
  InvalidTokenError,
  introspectionVerifier,
  type IntrospectionVerifierOptions,
  type JwtVerifier,
  jwtVerifier,
  type JwtVerifierOptions,
  ResourceServerError,
} from '../../lib/index.js';
import { startIssuer } from '../support/helpers.js';

/** The values that a token must have, or the reasons for its rejection. */
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

type Claims = Readonly<Record<string, unknown>>;

const keys = new Map<string, Promise<GenerateKeyPairResult>>();

function keyPair(alg: string): Promise<GenerateKeyPairResult> {
  const pair = keys.get(alg) ?? generateKeyPair(alg, { extractable: true });
  keys.set(alg, pair);
  return pair;
}

const verifiers = new Map<JwtShape, Promise<JwtVerifier>>();

function verifierOf(shape: JwtShape): Promise<JwtVerifier> {
  const verifier = verifiers.get(shape) ?? makeVerifier(shape);
  verifiers.set(shape, verifier);
  return verifier;
}

async function makeVerifier({ header, options, ...shape }: JwtShape): Promise<JwtVerifier> {
  if (options.secret !== undefined) return jwtVerifier(options as unknown as JwtVerifierOptions);
  const { publicKey } = await keyPair(header.alg);
  const key: JWK = { ...(await exportJWK(publicKey)), ...(shape.dropKid === true ? {} : { kid: 'k1' }), ...shape.jwk };
  if (shape.padJwk === true && key.n !== undefined) key.n += '='.repeat((4 - (key.n.length % 4)) % 4);
  return jwtVerifier({ ...options, jwks: { keys: [key] } } as unknown as JwtVerifierOptions);
}

async function verifyJwt(shape: JwtShape, claims: Claims = shape.claims): Promise<AccessToken> {
  const { header, options } = shape;
  const key = typeof options.secret === 'string' ? Buffer.from(options.secret) : (await keyPair(header.alg)).privateKey;
  const payload = Buffer.from(JSON.stringify(withTimes(claims)));
  return (await verifierOf(shape)).verify(await new CompactSign(payload).setProtectedHeader(header).sign(key));
}

const CREDENTIALS = { clientId: 'api', clientSecret: 'secret' };

/** Introspects at the endpoint of a test server. */
async function introspect({ options, response }: IntrospectionShape): Promise<AccessToken> {
  const server = await startIssuer();
  server.introspection.rewrite = () => withTimes(response);
  const { introspectionEndpoint } = server;
  const all = { ...options, ...CREDENTIALS, introspectionEndpoint } as unknown as IntrospectionVerifierOptions;
  return introspectionVerifier(all).verify('opaque');
}

/** Introspects without a server, for many responses. */
async function introspectQuickly({ options }: IntrospectionShape, response: Claims): Promise<AccessToken> {
  const all = {
    ...options,
    ...CREDENTIALS,
    introspectionEndpoint: 'https://as.example.test/introspect',
    fetch: () => Promise.resolve(Response.json(withTimes(response))),
  } as unknown as IntrospectionVerifierOptions;
  return introspectionVerifier(all).verify('opaque');
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
      const responses = new Map([
        [shape.at, ['application/json', JSON.stringify(shape.document).replaceAll('$B', origin)]],
        [shape.jwksPath ?? '/jwks', [shape.jwksType ?? 'application/json', JSON.stringify(jwks)]],
      ] as const);
      const [type, body] = responses.get(req.url ?? '') ?? [];
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

type Change = (claims: Readonly<Record<string, unknown>>, name: string) => Record<string, unknown>;

const replaceBy =
  (replace: (value: unknown) => unknown): Change =>
  (claims, name) => ({ ...claims, [name]: replace(claims[name]) });

/** Changes that a server, a proxy or an attacker may make to one claim. */
const CHANGES: Readonly<Record<string, Change>> = {
  removed: (claims, name) => Object.fromEntries(Object.entries(claims).filter(([each]) => each !== name)),
  null: replaceBy(() => null),
  'a number': replaceBy(() => 7),
  'a huge number': replaceBy(() => 1e308),
  true: replaceBy(() => true),
  'an object': replaceBy(() => ({ a: 1 })),
  'an object that hides its methods': replaceBy(() => ({ toString: 1, valueOf: 1, toLowerCase: 1, length: -1 })),
  'another string': replaceBy(() => 'x'),
  'an empty string': replaceBy(() => ''),
  'an empty array': replaceBy(() => []),
  'wrapped into an array': replaceBy((value) => [value]),
  'wrapped twice': replaceBy((value) => [[value]]),
  'as JSON text': replaceBy((value) => JSON.stringify(value)),
};

describe('one changed claim', () => {
  const shapes = [
    ...jwts.map((shape) => ({ shape, verify: (claims: Claims) => verifyJwt(shape, claims), claims: shape.claims })),
    ...responses.map((shape) => ({
      shape,
      verify: (claims: Claims) => introspectQuickly(shape, claims),
      claims: shape.response,
    })),
  ];

  async function expectHarmless(shape: Shape, verifying: Promise<AccessToken>): Promise<void> {
    const result = await verifying.catch((error: unknown) => error);
    if (result instanceof Error) {
      expect(result).toBeInstanceOf(ResourceServerError);
      return;
    }
    const wasMachine = shape.right.accepted && shape.right.isMachine;
    const { isMachine, isUser } = result as AccessToken;
    expect(isMachine && (!wasMachine || isUser)).toBe(false);
  }

  it.each(shapes.map(({ shape, ...others }) => ({ name: shape.name, shape, ...others })))(
    'never turns another token into one of a machine, and throws only errors of this package: $name',
    async ({ shape, claims, verify }) => {
      // ID tokens: with another claim, the rest may be an access token, but never one of a machine.
      for (const name of Object.keys(claims)) {
        for (const change of Object.values(CHANGES)) await expectHarmless(shape, verify(change(claims, name)));
      }
    },
  );

  it('has the same effect if it is added with any value', async () => {
    const names = [...new Set(shapes.flatMap(({ claims }) => Object.keys(claims)))];
    const property = fc.asyncProperty(
      fc.constantFrom(...shapes),
      fc.constantFrom(...names.filter((name) => !GRANTING.includes(name))),
      fc.jsonValue({ maxDepth: 3 }),
      async ({ shape, claims, verify }, name, value) => {
        await expectHarmless(shape, verify({ ...claims, [name]: value }));
      },
    );
    await fc.assert(property, { numRuns: 1_000 });
  });
});

/** With these claims, a server can state or indicate that the token is for a machine, if the value is right. */
const GRANTING = ['sub', 'client_id', 'azp', 'cid', 'appid', 'gty', 'grant_type', 'idtyp', 'aut', 'preferred_username'];
