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
} from '../lib/index.js';
import { makeSigningKey, type SigningKey, TestIssuer } from '../lib/testing/issuer.js';
import { type Challenge, challengesOf, handled, serve, signRaw } from './helpers.js';

/** Where callers find the APIs of these tests, whatever port they listen on. */
export const BASE_URL = 'https://api.example.com';
/** `algs` of a challenge unless the API names its own. */
export const ALGS = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519';

/** How one proof differs from a good one for `GET https://api.example.com/`. `undefined` leaves a member out. */
export interface ProofChanges {
  readonly header?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
  /** Signs with this key; the header still names the client's own. */
  readonly signer?: SigningKey;
  /** Signs this text instead of the claims. ES256 alone. */
  readonly payload?: (json: string) => string;
}

/** A client with a key of its own. */
export class DpopClient {
  private constructor(
    readonly key: SigningKey,
    /** The public key as proofs carry it. */
    readonly jwk: JWK,
    readonly thumbprint: string,
  ) {}

  static async make(algorithm = 'ES256'): Promise<DpopClient> {
    const key = await makeSigningKey(algorithm);
    const { kty, crv, x, y, n, e } = key.publicJwk;
    const jwk = JSON.parse(JSON.stringify({ kty, crv, x, y, n, e })) as JWK;
    return new DpopClient(key, jwk, await calculateJwkThumbprint(jwk));
  }

  /** What binds a token to this client. */
  get cnf(): { jkt: string } {
    return { jkt: this.thumbprint };
  }

  /** A proof that goes with a token, unless the changes spoil it. */
  async prove(token: string, { header, claims, signer = this.key, payload }: ProofChanges = {}): Promise<string> {
    const all = { typ: 'dpop+jwt', alg: this.key.algorithm, jwk: this.jwk, ...header };
    const usual = { jti: randomUUID(), htm: 'GET', htu: `${BASE_URL}/`, iat: now(), ath: hashOf(token) };
    const json = JSON.stringify({ ...usual, ...claims });
    // jose signs no header that lies about the key; such a one is signed as it is.
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

/** What nearly every test of proofs needs. */
export interface Scene {
  readonly issuer: TestIssuer;
  readonly client: DpopClient;
  /** Bound to the client's key, and good for a day. */
  readonly token: string;
  /** A proof of the client's that goes with the token, unless the changes spoil it. */
  readonly prove: (changes?: ProofChanges) => Promise<string>;
}

/** Sets it before the first test of a file and clears it away after the last; until then nobody reads it. */
export function setScene(): Scene {
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

/** Refused for this reason before and after a good proof of the same client has made its key known. */
export async function expectFault(
  { issuer, token, prove }: Scene,
  reason: InvalidDpopProofReason,
  make: () => string | Promise<string>,
): Promise<void> {
  const app = serveDpop(issuer);
  await expectProofRefused(app, present(app, token, await make()), reason);
  await expectAdmitted(app, present(app, token, await prove()));
  await expectProofRefused(app, present(app, token, await make()), reason);
}

/** A middleware for the tokens of an issuer, at `BASE_URL`. */
export function dpopBearer(
  issuer: TestIssuer,
  dpop: ProofMode | DpopOptions,
  options: Partial<JwtBearerOptions> = {},
): Middleware {
  return jwtBearer({ issuer: issuer.url, audience: issuer.audience, baseUrl: BASE_URL, dpop, ...options });
}

/** An API that takes tokens bound to a key alone. */
export function serveDpop(issuer: TestIssuer, options: Partial<DpopOptions> = {}): Express {
  return serve(dpopBearer(issuer, { mode: 'required', ...options }));
}

/** `GET /` with a token and, unless it is left out, a proof. */
export function present(app: Express, token: string, proof?: string, scheme = 'DPoP'): supertest.Test {
  const sent = supertest(app).get('/').set('Authorization', `${scheme} ${token}`);
  return proof === undefined ? sent : sent.set('DPoP', proof);
}

/** The challenge on one scheme. Throws where there is none, or more than one. */
export function challengeOn(scheme: string, answer: { headers: unknown }): Challenge['parameters'] {
  const [found, ...more] = challengesOf(answer).filter((each) => each.scheme === scheme);
  if (found === undefined || more.length > 0) throw new Error(`${more.length} more challenges on ${scheme}`);
  return found.parameters;
}

/** Refused for this very reason, on the DPoP scheme alone, and no handler ran. */
export function expectProofRefused(
  app: Express,
  sent: supertest.Test,
  reason: InvalidDpopProofReason,
  algs = ALGS,
): Promise<supertest.Response> {
  return expectRefusal(app, sent, new InvalidDpopProofError(reason), algs);
}

/** Refused as the token's failure, told on the DPoP scheme alone, and no handler ran. */
export function expectBindingRefused(
  app: Express,
  sent: supertest.Test,
  reason: InvalidTokenReason,
): Promise<supertest.Response> {
  return expectRefusal(app, sent, new InvalidTokenError(reason), ALGS);
}

async function expectRefusal(
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
  expect(others.filter(({ parameters }) => Object.keys(parameters).length > 0)).toEqual([]);
  expect(response.headers['cache-control']).toBe('no-store');
  return response;
}

export async function expectAdmitted(app: Express, sent: supertest.Test): Promise<supertest.Response> {
  const before = handled(app);
  const response = await sent;
  expect([response.status, handled(app)]).toEqual([200, before + 1]);
  return response;
}

/** Whether a proof was used before cannot be told: 503, when to try again, no challenge, and no handler ran. */
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
