import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Express } from 'express';
import {
  bearer,
  ConfigurationError,
  InvalidTokenError,
  type InvalidTokenReason,
  jwtBearer,
  type JwtBearerOptions,
  introspectionBearer,
  jwtVerifier,
  introspectionVerifier,
  memoryStore,
  type TokenVerifier,
} from '../../lib/index.js';
import { makeSigningKey, type SigningKey, TestIssuer } from '../../lib/testing/issuer.js';
import { BASE_URL, DpopClient, expectAccepted, present } from '../support/dpop.js';
import { get, handled, serve, startIssuer } from '../support/helpers.js';
import { optionsFor } from '../support/introspection.js';

let issuer: TestIssuer;
let client: DpopClient;

beforeAll(async () => {
  issuer = await TestIssuer.start();
  client = await DpopClient.make();
});

afterAll(() => issuer.close());

/** A token according to RFC 9068 that is bound to the client. */
const bound = (claims: Record<string, unknown> = {}, key?: SigningKey): Promise<string> =>
  issuer.issue({ cnf: client.cnf, ...claims }, key === undefined ? {} : { key });

/** Publishes another key of the issuer. */
async function publish(algorithm: string): Promise<SigningKey> {
  const key = await makeSigningKey(algorithm);
  issuer.published.push(key.publicJwk);
  return key;
}

function fapi(options: Partial<JwtBearerOptions> = {}): Express {
  const usual = { issuer: issuer.url, audience: issuer.audience, baseUrl: BASE_URL };
  return serve(jwtBearer({ ...usual, profile: 'fapi2', ...options }));
}

async function expectToken(app: Express, token: string, reason: InvalidTokenReason, by = client): Promise<void> {
  const response = await present(app, token, await by.prove(token));
  expect({ status: response.status, body: response.body as unknown, handled: handled(app) }).toEqual({
    status: 401,
    body: { error: 'invalid_token', error_description: new InvalidTokenError(reason).message },
    handled: 0,
  });
}

describe('the profile fapi2', () => {
  it('accepts bound tokens according to RFC 9068', async () => {
    const app = fapi();
    const token = await bound();
    await expectAccepted(app, present(app, token, await client.prove(token)));
  });

  it('rejects unbound tokens with all options', async () => {
    for (const options of [{}, { dpop: 'off' }, { mtls: 'off' }, { dpop: 'allowed', mtls: 'allowed' }] as const) {
      const app = fapi(options);
      const response = await get(app, await issuer.issue());
      const { message } = new InvalidTokenError('binding_missing');
      expect([response.status, (response.body as { error_description: string }).error_description]).toEqual([
        401,
        message,
      ]);
      expect(handled(app)).toBe(0);
    }
  });

  it.each<[string, Record<string, unknown>, InvalidTokenReason]>([
    ['only unknown members in cnf', { cnf: { kid: 'x' } }, 'binding_missing'],
    ['an empty cnf', { cnf: {} }, 'binding_missing'],
    ['a cnf that is not an object', { cnf: 'x' }, 'claim_malformed'],
  ])('rejects tokens with %s', async (_what, claims, reason) => {
    await expectToken(fapi(), await bound(claims), reason);
  });

  it.each(['PS256', 'ES256', 'EdDSA', 'Ed25519'])('accepts tokens that are signed with %s', async (alg) => {
    const app = fapi();
    const token = await bound({}, await publish(alg));
    await expectAccepted(app, present(app, token, await client.prove(token)));
  });

  it.each(['RS256', 'RS512', 'PS384', 'PS512', 'ES384', 'ES512'])(
    'rejects tokens that are signed with %s',
    async (alg) => {
      await expectToken(fapi(), await bound({}, await publish(alg)), 'algorithm_refused');
    },
  );

  it.each(['PS256', 'ES256', 'EdDSA', 'Ed25519'])('accepts proofs that are signed with %s', async (alg) => {
    const app = fapi();
    const prover = await DpopClient.make(alg);
    const token = await bound({ cnf: prover.cnf });
    await expectAccepted(app, present(app, token, await prover.prove(token)));
  });

  it.each(['RS256', 'PS384', 'ES384', 'ES512'])('rejects proofs that are signed with %s', async (alg) => {
    const app = fapi();
    const prover = await DpopClient.make(alg);
    const token = await bound({ cnf: prover.cnf });
    const response = await present(app, token, await prover.prove(token));
    expect([response.status, (response.body as { error: string }).error]).toEqual([401, 'invalid_dpop_proof']);
    expect(response.headers['www-authenticate']).toContain('algs="PS256 ES256 EdDSA Ed25519"');
  });

  it.each(['sub', 'client_id', 'iat', 'jti', 'exp', 'aud'])('rejects JWTs without %s', async (name) => {
    const reason = name === 'aud' ? 'audience_missing' : 'claim_missing';
    await expectToken(fapi(), await bound({ [name]: undefined }), reason);
  });

  it.each(['JWT', undefined])('rejects JWTs of the type %s', async (typ) => {
    await expectToken(fapi(), await issuer.issue({ cnf: client.cnf }, { header: { typ } }), 'type_refused');
  });

  it('reads tokens only from the header', async () => {
    const token = await bound();
    const response = await get(fapi())
      .query({ access_token: token })
      .set('DPoP', await client.prove(token));
    expect(response.status).toBe(401);
    expect(() => fapi({ tokenFrom: () => undefined })).toThrow(ConfigurationError);
  });

  it.each<[string, Partial<JwtBearerOptions>, string]>([
    ['a secret', { secret: 'x'.repeat(32) }, 'secret'],
    ['audience: false', { audience: false }, 'audience'],
    ['another algorithm', { algorithms: ['ES256', 'RS256'] }, 'algorithms'],
    ['another algorithm of proofs', { dpop: { mode: 'allowed', algorithms: ['ES512'] } }, 'algorithms'],
    ['an issuer over http:', { issuer: 'http://auth.example.com', allowInsecureHttp: true }, 'allowInsecureHttp'],
    ['both bindings off', { dpop: 'off', mtls: 'off' }, 'dpop, mtls'],
  ])('rejects the options %s', (_what, options, option) => {
    expect(() => fapi(options)).toThrow(ConfigurationError);
    expect(() => fapi(options)).toThrow(option);
  });

  it('accepts an option with fewer algorithms', async () => {
    const app = fapi({ algorithms: ['PS256'], dpop: { mode: 'required', algorithms: ['PS256'] } });
    await expectToken(app, await bound(), 'algorithm_refused');
  });
});

describe('the profile fapi2 for opaque tokens', () => {
  const api = (): Express => serve(introspectionBearer({ ...optionsFor(issuer), baseUrl: BASE_URL, profile: 'fapi2' }));

  it('accepts bound tokens', async () => {
    const app = api();
    const token = issuer.issueOpaque({ cnf: client.cnf });
    await expectAccepted(app, present(app, token, await client.prove(token)));
  });

  it('rejects unbound tokens', async () => {
    const app = api();
    const response = await get(app, issuer.issueOpaque());
    expect([response.status, handled(app)]).toEqual([401, 0]);
  });

  it('rejects allowInsecureHttp', () => {
    const make = (): unknown =>
      introspectionBearer({ ...optionsFor(issuer), profile: 'fapi2', allowInsecureHttp: true });
    expect(make).toThrow(/^introspectionBearer: allowInsecureHttp: expected /);
  });

  it.each([
    ['PS256', true],
    ['ES256', true],
    ['RS256', false],
    ['ES384', false],
  ] as const)('authenticates with the algorithms of FAPI: %s', (algorithm, isTaken) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const namedCurve = algorithm === 'ES384' ? 'P-384' : 'P-256';
    const key = algorithm.startsWith('ES') ? generateKeyPairSync('ec', { namedCurve }).privateKey : privateKey;
    const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
    const options = optionsFor(issuer, { clientAuthentication: { privateKey: pem, algorithm } });
    const make = (profile: object) => (): unknown => introspectionVerifier({ ...options, ...profile });
    expect(make({})).not.toThrow();
    const strict = make({ profile: 'fapi2' });
    if (isTaken) expect(strict).not.toThrow();
    else expect(strict).toThrow(/^introspectionVerifier: clientAuthentication: algorithm: expected /);
  });

  it('ignores results in a shared store that were signed with another algorithm', async () => {
    const other = await startIssuer({ algorithm: 'RS256' });
    const shared = { ...optionsFor(other), signedResponse: true, store: memoryStore() };
    const token = other.issueOpaque({ cnf: client.cnf });
    expect((await introspectionVerifier(shared).verify(token)).format).toBe('opaque');
    await expect(introspectionVerifier({ ...shared, profile: 'fapi2' }).verify(token)).rejects.toMatchObject({
      reason: 'introspection_unavailable',
    });
  });

  it('is the only profile of introspectionVerifier', () => {
    const make = (): unknown =>
      Reflect.apply(introspectionVerifier, undefined, [{ ...optionsFor(issuer), profile: 'rfc9068' }]);
    expect(make).toThrow(ConfigurationError);
  });
});

describe('the profile fapi2 in the verifier or the middleware', () => {
  const options = { profile: 'fapi2' } as const;
  const verifier = (): TokenVerifier => jwtVerifier({ issuer: issuer.url, audience: issuer.audience, ...options });

  it('rejects unbound tokens if only the verifier has it', async () => {
    await expect(verifier().verify(await issuer.issue())).rejects.toMatchObject({
      reason: 'binding_missing',
    });
    expect((await verifier().verify(await bound())).claims.cnf).toEqual(client.cnf);
  });

  it('is taken from the verifier by the middleware', async () => {
    const app = serve(bearer(verifier(), { baseUrl: BASE_URL }));
    const token = await bound();
    const responses = [
      await get(app, token),
      await present(app, token, await client.prove(token)),
      await get(app, await issuer.issue()),
    ];
    expect([responses.map(({ status }) => status), handled(app)]).toEqual([[401, 200, 401], 1]);
  });

  it('accepts only bound tokens if only the middleware has it', async () => {
    const lax = jwtVerifier({ issuer: issuer.url, audience: issuer.audience });
    const app = serve(bearer(lax, { baseUrl: BASE_URL, ...options }));
    expect((await get(app, await issuer.issue())).status).toBe(401);
    const token = await bound();
    await expectAccepted(app, present(app, token, await client.prove(token)));
  });
});
