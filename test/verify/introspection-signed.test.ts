import { describe, expect, it } from '@jest/globals';
import { UpstreamError } from '../../lib/index.js';
import { makeSigningKey, type TestIssuer } from '../../lib/testing/issuer.js';
import type { SignedResponseChanges } from '../../lib/testing/introspection.js';
import { expectInvalidToken, expectUnavailable, get, signWithSecret, startIssuer } from '../support/helpers.js';
import { apiFor, verifierFor } from '../support/introspection.js';

const signedResponse = true;
const SIGNED = 'application/token-introspection+jwt';

async function expectResponseRejected(issuer: TestIssuer): Promise<void> {
  await expectUnavailable(apiFor(issuer, { signedResponse }), issuer.issueOpaque(), 'introspection_unavailable');
}

describe('a signed introspection response', () => {
  // RFC 9701 §5: "the identifier of the resource server". Some servers use the client id, others the audience.
  it.each<[string, (audience: string) => unknown]>([
    ['the client id', () => 'api'],
    ['the audience', (audience) => audience],
    ['one of several audiences', (audience) => ['https://other.example.com', audience]],
  ])('names this API in aud by %s', async (_what, aud) => {
    const issuer = await startIssuer();
    issuer.introspection.signedChanges = { claims: { aud: aud(issuer.audience) } };
    const verifier = verifierFor(issuer, { signedResponse, audience: ['https://first.example.com', issuer.audience] });
    await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
    await verifier.close();
  });

  it('names this API by the client id only, if any audience is accepted', async () => {
    const issuer = await startIssuer();
    issuer.introspection.signedChanges = { claims: { aud: issuer.audience } };
    const verifier = verifierFor(issuer, { signedResponse, audience: false });
    await expect(verifier.verify(issuer.issueOpaque())).rejects.toMatchObject({ reason: 'introspection_unavailable' });
    await verifier.close();
  });

  it('is verified with the keys at jwksUri, without metadata', async () => {
    const issuer = await startIssuer();
    issuer.fail('metadata', 'error');
    const { introspectionEndpoint, jwksUri } = issuer;
    const verifier = verifierFor(issuer, { signedResponse, introspectionEndpoint, jwksUri });
    await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
    expect(issuer.requests).toMatchObject({ metadata: 0, jwks: 1 });
    await verifier.close();
  });

  it('is required for the option jwksUri, and jwksUri must be a safe URL', async () => {
    const issuer = await startIssuer();
    const { jwksUri } = issuer;
    expect(() => verifierFor(issuer, { jwksUri })).toThrow(/introspectionVerifier: jwksUri: expected none/);
    const insecure = 'http://keys.example.com/jwks';
    expect(() => verifierFor(issuer, { signedResponse, jwksUri: insecure })).toThrow(/introspectionVerifier: jwksUri/);
  });

  it('is requested, and accepted if the issuer signed it for this client', async () => {
    const issuer = await startIssuer();
    const app = apiFor(issuer, { signedResponse });
    expect((await get(app, issuer.issueOpaque({ scope: 'a' }))).body).toMatchObject({ scopes: ['a'] });
    expect(issuer.introspection.seen[0]?.headers.accept).toBe(SIGNED);
    await expectInvalidToken(app, 'unknown', 'inactive');
  });

  it('provides only the members of token_introspection as claims', async () => {
    const issuer = await startIssuer();
    const { claims } = await verifierFor(issuer, { signedResponse }).verify(issuer.issueOpaque());
    expect(claims).not.toHaveProperty('token_introspection');
    expect(claims).toMatchObject({ active: true, aud: issuer.audience });
  });

  it('may come from a configured endpoint', async () => {
    const issuer = await startIssuer();
    const { introspectionEndpoint } = issuer;
    const verifier = verifierFor(issuer, { signedResponse, introspectionEndpoint });
    await verifier.ready();
    expect(verifier.health()).toMatchObject({ keys: { state: 'fresh' }, metadata: { state: 'fresh' } });
    await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
    await verifier.close();
  });

  it('is verified with a key that was published after the cached keys', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer, { signedResponse });
    await verifier.verify(issuer.issueOpaque());
    await issuer.rotate();
    await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
    await verifier.close();
  });

  const later = 120;
  it.each<[string, (now: number) => SignedResponseChanges]>([
    ['iss is another issuer', () => ({ claims: { iss: 'https://elsewhere.example.com' } })],
    ['iss is missing', () => ({ claims: { iss: undefined } })],
    ['it is for another client', () => ({ claims: { aud: 'another-api' } })],
    ['it is for another API', () => ({ claims: { aud: ['https://api.example.com/', 'https://other.example.com'] } })],
    ['aud is missing', () => ({ claims: { aud: undefined } })],
    ['typ is the type of an access token', () => ({ header: { typ: 'at+jwt' } })],
    ['typ is JWT', () => ({ header: { typ: 'JWT' } })],
    ['typ is missing', () => ({ header: { typ: undefined } })],
    ['alg is none', () => ({ header: { alg: 'none' } })],
    ['it was issued too long ago', (now) => ({ claims: { iat: now - 311 } })],
    ['it was issued in the future', (now) => ({ claims: { iat: now + later } })],
    ['iat is missing', () => ({ claims: { iat: undefined } })],
    ['iat is a string', (now) => ({ claims: { iat: String(now) } })],
    ['it has expired', (now) => ({ claims: { exp: now - later } })],
    ['it is not valid yet', (now) => ({ claims: { nbf: now + later } })],
    ['token_introspection is missing', () => ({ claims: { token_introspection: undefined, active: true } })],
    ['token_introspection is null', () => ({ claims: { token_introspection: null } })],
    ['token_introspection is a string', () => ({ claims: { token_introspection: '{"active":true}' } })],
    ['token_introspection is an array', () => ({ claims: { token_introspection: [{ active: true }] } })],
    ['token_introspection has no member active', () => ({ claims: { token_introspection: {}, active: true } })],
    ['active is "true"', () => ({ claims: { token_introspection: { active: 'true' } } })],
    ['it names an unknown key', () => ({ header: { kid: 'unknown' } })],
    ['it has a critical extension', () => ({ header: { crit: ['b64'], b64: true } })],
  ])('is rejected if %s', async (_, changes) => {
    const issuer = await startIssuer();
    issuer.introspection.signedChanges = changes(issuer.now);
    if (changes(0).header?.alg === 'none') {
      issuer.fail('introspection', (res) => {
        const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
        const header = part({ alg: 'none', typ: 'token-introspection+jwt' });
        const claims = { iss: issuer.url, aud: 'api', iat: issuer.now, token_introspection: { active: true } };
        res.setHeader('Content-Type', SIGNED).end(`${header}.${part(claims)}.AA`);
      });
    }
    await expectResponseRejected(issuer);
  });

  it('is rejected if it is not signed', async () => {
    const issuer = await startIssuer();
    issuer.introspection.canSign = false;
    await expectResponseRejected(issuer);
  });

  it('is rejected if its media type is JSON', async () => {
    const issuer = await startIssuer();
    const good = await issuer.sign(
      { iss: issuer.url, aud: 'api', iat: issuer.now, token_introspection: { active: true, aud: issuer.audience } },
      { typ: 'token-introspection+jwt' },
    );
    const respond = (type: string): void => {
      issuer.fail('introspection', (res) => res.setHeader('Content-Type', type).end(good));
    };
    respond(`${SIGNED}; charset=utf-8`);
    expect((await get(apiFor(issuer, { signedResponse }), 'token')).status).toBe(200);
    for (const type of ['application/json', 'application/jwt', 'text/plain', '']) {
      respond(type);
      await expectResponseRejected(issuer);
    }
  });

  it('is rejected if another key signed it, if no key signed it, or if it has a MAC', async () => {
    const issuer = await startIssuer();
    const claims = { iss: issuer.url, aud: 'api', iat: issuer.now };
    const full = { ...claims, token_introspection: { active: true, aud: issuer.audience } };
    const typ = 'token-introspection+jwt';
    const good = await issuer.sign(full, { typ });
    const other = await makeSigningKey();
    const forged = await issuer.issue(
      {},
      { key: other, header: { typ, kid: issuer.key.kid }, payload: Buffer.from(JSON.stringify(full)) },
    );
    const answers = [
      forged,
      `${good.split('.').slice(0, 2).join('.')}.`,
      good.split('.').slice(0, 2).join('.'),
      signWithSecret(256, full, JSON.stringify(issuer.key.publicJwk), { typ, kid: issuer.key.kid }),
      'text that is not a JWT',
      '{"active":true}',
      '',
    ];
    for (const answer of answers) {
      issuer.fail('introspection', (res) => res.setHeader('Content-Type', SIGNED).end(answer));
      await expectResponseRejected(issuer);
    }
  });

  it('is rejected while the keys of the issuer are unavailable', async () => {
    const issuer = await startIssuer();
    issuer.fail('jwks', 'error');
    const verifier = verifierFor(issuer, { signedResponse });
    await expect(verifier.ready()).rejects.toBeInstanceOf(UpstreamError);
    await expect(verifier.verify(issuer.issueOpaque())).rejects.toMatchObject({ reason: 'keys_unavailable' });
    await verifier.close();
  });
});
