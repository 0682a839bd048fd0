import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect } from '@jest/globals';
import type { Express } from 'express';
import { calculateJwkThumbprint, CompactSign, type CompactJWSHeaderParameters, type JWK } from 'jose';
import supertest from 'supertest';
import {
  type DpopOptions,
  InvalidDpopProofError,
  type InvalidDpopProofReason,
  InvalidTokenError,
  type InvalidTokenReason,
  jwtBearer,
  type JwtBearerOptions,
  type Middleware,
  type ProofMode,
  UpstreamError,
} from '../../lib/index.js';
import { makeSigningKey, type SigningKey, TestIssuer } from '../../lib/testing/issuer.js';
import { type Challenge, challengesOf, handled, serve, signRaw } from './helpers.js';

/** The URL of the APIs of these tests, on any port. */
export const BASE_URL = 'https://api.example.com';
/** The default `algs` of a challenge. */
export const ALGS = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519';

/** How a proof differs from a valid one for `GET https://api.example.com/`. `undefined` removes a member. */
export interface ProofChanges {
  readonly header?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
  /** Signs with this key; the header still contains the client's own key. */
  readonly signer?: SigningKey;
  /** Signs this text instead of the claims. Only for ES256. */
  readonly payload?: (json: string) => string;
}

/** A client with its own key. */
export class DpopClient {
  private constructor(
    readonly key: SigningKey,
    /** The public key in its proofs. */
    readonly jwk: JWK,
    readonly thumbprint: string,
  ) {}

  static async make(algorithm = 'ES256'): Promise<DpopClient> {
    const key = await makeSigningKey(algorithm);
    const { kty, crv, x, y, n, e } = key.publicJwk;
    const jwk = JSON.parse(JSON.stringify({ kty, crv, x, y, n, e })) as JWK;
    return new DpopClient(key, jwk, await calculateJwkThumbprint(jwk));
  }

  /** The claim that binds a token to this client. */
  get cnf(): { jkt: string } {
    return { jkt: this.thumbprint };
  }

  /** A proof for a token, valid unless the changes make it invalid. */
  async prove(token: string, { header, claims, signer = this.key, payload }: ProofChanges = {}): Promise<string> {
    const all = { typ: 'dpop+jwt', alg: this.key.algorithm, jwk: this.jwk, ...header };
    const usual = { jti: randomUUID(), htm: 'GET', htu: `${BASE_URL}/`, iat: now(), ath: hashOf(token) };
    const json = JSON.stringify({ ...usual, ...claims });
    // jose does not sign a header whose `alg` does not fit the key.
    if (all.alg !== signer.algorithm || payload !== undefined) {
      return signRaw(JSON.stringify(all), payload?.(json) ?? json, signer);
    }
    const written = JSON.parse(JSON.stringify(all)) as CompactJWSHeaderParameters;
    const crit = Object.fromEntries((Array.isArray(written.crit) ? written.crit : []).map((name) => [name, true]));
    return new CompactSign(Buffer.from(json)).setProtectedHeader(written).sign(signer.privateKey, { crit });
  }
}

/** `ath` of a token (RFC 9449 §4.2). */
export function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}

export function now(): number {
  return Math.floor(Date.now() / 1000);
}

/** The objects that most tests of proofs need. */
export interface Scene {
  readonly issuer: TestIssuer;
  readonly client: DpopClient;
  /** Bound to the client's key, valid for a day. */
  readonly token: string;
  /** A proof of the client for the token, valid unless the changes make it invalid. */
  readonly prove: (changes?: ProofChanges) => Promise<string>;
}

/** Creates the scene before the first test of a file and closes it after the last. */
export function createScene(): Scene {
  const scene = {} as { -readonly [K in keyof Scene]: Scene[K] };
  scene.prove = (changes) => scene.client.prove(scene.token, changes);
  beforeAll(async () => {
    scene.issuer = await TestIssuer.start();
    scene.client = await DpopClient.make();
    scene.token = await scene.issuer.issue({ cnf: scene.client.cnf, exp: now() + 86_400 });
  });
  afterAll(() => scene.issuer.close());
  return scene;
}

/** Expects a rejection before and after a valid proof of the same client, which caches its key. */
export async function expectProofAlwaysRejected(
  { issuer, token, prove }: Scene,
  reason: InvalidDpopProofReason,
  make: () => string | Promise<string>,
): Promise<void> {
  const app = serveDpop(issuer);
  await expectProofRejected(app, present(app, token, await make()), reason);
  await expectAccepted(app, present(app, token, await prove()));
  await expectProofRejected(app, present(app, token, await make()), reason);
}

/** A middleware for the tokens of an issuer, at `BASE_URL`. */
export function dpopBearer(
  issuer: TestIssuer,
  dpop: ProofMode | DpopOptions,
  options: Partial<JwtBearerOptions> = {},
): Middleware {
  return jwtBearer({ issuer: issuer.url, audience: issuer.audience, baseUrl: BASE_URL, dpop, ...options });
}

/** An API that accepts only DPoP-bound tokens. */
export function serveDpop(issuer: TestIssuer, options: Partial<DpopOptions> = {}): Express {
  return serve(dpopBearer(issuer, { mode: 'required', ...options }));
}

/** Sends `GET /` with a token and an optional proof. */
export function present(app: Express, token: string, proof?: string, scheme = 'DPoP'): supertest.Test {
  const sent = supertest(app).get('/').set('Authorization', `${scheme} ${token}`);
  return proof === undefined ? sent : sent.set('DPoP', proof);
}

/** The challenge of one scheme. Throws if there is none or more than one. */
export function challengeOn(scheme: string, response: { headers: unknown }): Challenge['parameters'] {
  const [found, ...more] = challengesOf(response).filter((each) => each.scheme === scheme);
  if (found === undefined || more.length > 0) throw new Error(`${more.length} more challenges on ${scheme}`);
  return found.parameters;
}

/** Expects a rejection of the proof for this reason, only in the DPoP challenge, and that no handler ran. */
export function expectProofRejected(
  app: Express,
  sent: supertest.Test,
  reason: InvalidDpopProofReason,
  algs = ALGS,
): Promise<supertest.Response> {
  return expectRejection(app, sent, new InvalidDpopProofError(reason), algs);
}

/** Expects a rejection of the token for this reason, only in the DPoP challenge, and that no handler ran. */
export function expectTokenRejected(
  app: Express,
  sent: supertest.Test,
  reason: InvalidTokenReason,
): Promise<supertest.Response> {
  return expectRejection(app, sent, new InvalidTokenError(reason), ALGS);
}

async function expectRejection(
  app: Express,
  sent: supertest.Test,
  { code = 'none', message }: InvalidDpopProofError | InvalidTokenError,
  algs: string,
): Promise<supertest.Response> {
  const before = handled(app);
  const response = await sent;
  expect({ status: response.status, body: response.body as unknown, handled: handled(app) }).toEqual({
    status: 401,
    body: { error: code, error_description: message },
    handled: before,
  });
  expect(challengeOn('DPoP', response)).toEqual({ error: code, error_description: message, algs });
  const others = challengesOf(response).filter(({ scheme }) => scheme !== 'DPoP');
  expect(others.filter(({ parameters }) => 'error' in parameters)).toEqual([]);
  expect(response.headers['cache-control']).toBe('no-store');
  return response;
}

export async function expectAccepted(app: Express, sent: supertest.Test): Promise<supertest.Response> {
  const before = handled(app);
  const response = await sent;
  expect([response.status, handled(app)]).toEqual([200, before + 1]);
  return response;
}

/** Expects 503 with Retry-After and without a challenge, and that no handler ran. */
export async function expectStoreUnavailable(app: Express, sent: supertest.Test): Promise<void> {
  const before = handled(app);
  const response = await sent;
  const { code, message } = new UpstreamError('store_unavailable', 1);
  expect({ status: response.status, body: response.body as unknown, handled: handled(app) }).toEqual({
    status: 503,
    body: { error: code, error_description: message },
    handled: before,
  });
  expect(response.headers['retry-after']).toMatch(/^[1-9]\d*$/);
  expect(response.headers['www-authenticate']).toBeUndefined();
  expect(response.headers['cache-control']).toBe('no-store');
}
