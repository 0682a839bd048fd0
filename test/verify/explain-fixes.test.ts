import { describe, expect, it } from '@jest/globals';
import { jwtVerifier, type JwtVerifierOptions } from '../../lib/index.js';
import { makeSigningKey } from '../../lib/testing/issuer.js';
import { base64url, startIssuer } from '../support/helpers.js';

interface Token {
  readonly claims?: Record<string, unknown>;
  readonly header?: Record<string, unknown>;
  readonly options?: Partial<JwtVerifierOptions>;
}

/** The fixes of the checks that failed. */
async function fixesFor({ claims = {}, header = {}, options = {} }: Token): Promise<string> {
  const issuer = await startIssuer();
  const { url, audience } = issuer;
  const [first = '', ...rest] = (await issuer.issue(claims)).split('.');
  const all: unknown = { ...(JSON.parse(Buffer.from(first, 'base64url').toString()) as object), ...header };
  const token = [base64url(JSON.stringify(all)), ...rest].join('.');
  const verifier = jwtVerifier({ issuer: url, audience, jwks: { keys: [issuer.key.publicJwk] }, ...options });
  const { checks } = await verifier.explain(token);
  return checks
    .filter(({ state }) => state === 'failed')
    .map(({ fix }) => fix)
    .join('\n');
}

const MILLISECONDS = 4_000_000_000_000;

describe('the explanation of a rejected token says what to change', () => {
  it.each<[string, Token, string]>([
    ['a token without iss', { claims: { iss: undefined } }, 'The token has no iss.'],
    ['an empty iss', { claims: { iss: '' } }, 'The token has no iss.'],
    ['an iss of another type', { claims: { iss: 7 } }, 'The server must write iss as a string.'],
    ['an empty aud', { claims: { aud: [] } }, 'The token has no aud.'],
    ['an aud of another type', { claims: { aud: 7 } }, 'The server must write aud as a string or an array of strings.'],
    ['iat in milliseconds', { claims: { iat: MILLISECONDS } }, 'iat is in milliseconds.'],
    ['nbf in milliseconds', { claims: { nbf: MILLISECONDS } }, 'nbf is in milliseconds.'],
    ['no exp', { claims: { exp: undefined } }, 'Every JWT needs exp.'],
    ['an own typ', { header: { typ: 'Bearer' } }, 'at+jwt, JWT or nothing'],
    ['the typ of SPIFFE', { header: { typ: 'JOSE' } }, 'at+jwt, JWT or nothing'],
    ['another typ than the profile needs', { options: { profile: 'rfc9068' }, header: { typ: 'JWT' } }, 'the profile'],
    ['no typ, with a profile', { options: { profile: 'rfc9068' }, header: { typ: undefined } }, 'the profile'],
    [
      'an algorithm that does not exist here',
      { header: { alg: 'ES256K' } },
      'This package does not support this algorithm.',
    ],
    ['an algorithm of another spelling', { header: { alg: 'es256' } }, 'This package does not support this algorithm.'],
    ['an algorithm that is turned off', { options: { algorithms: ['RS256'] } }, 'Add the algorithm to algorithms'],
    ['a kid that is a number', { header: { kid: 1 } }, 'The server must write kid in the header as a string.'],
    ['a kid that is null', { header: { kid: null } }, 'The server must write kid in the header as a string.'],
    ['a typ that is null', { header: { typ: null } }, 'The server must write typ in the header as a string.'],
    ['another kind of JWT', { header: { typ: 'logout+jwt' } }, 'Send the access token.'],
    ['another kind of token', { claims: { typ: 'Refresh' } }, 'Send the access token.'],
    ['a DPoP token without a key', { claims: { token_type: 'DPoP' } }, 'cnf.jkt'],
  ])('for %s', async (_what, token, fix) => {
    expect(await fixesFor(token)).toContain(fix);
  });

  it.each<[string, Record<string, unknown>]>([
    ['another use', { use: 'jwt-svid' }],
    ['another algorithm', { alg: 'ES384' }],
    ['other operations', { key_ops: ['sign'] }],
  ])('for a key that has %s', async (_what, members) => {
    const issuer = await startIssuer();
    const other = await makeSigningKey();
    const keys = [{ ...issuer.key.publicJwk, ...members }, other.publicJwk];
    const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience, jwks: { keys } });
    const { checks } = await verifier.explain(await issuer.issue());
    const fix = checks.find(({ name }) => name === 'key')?.fix;
    expect(fix).toContain('has a key with this id, but it is not for this algorithm');
  });

  it('for a token without a key id, and names no key', async () => {
    const issuer = await startIssuer();
    const token = await issuer.issue({}, { key: await makeSigningKey(), header: { kid: undefined } });
    const { url, audience, key } = issuer;
    const { checks } = await jwtVerifier({ issuer: url, audience, jwks: { keys: [key.publicJwk] } }).explain(token);
    expect(checks.at(-1)).toMatchObject({ name: 'signature', expected: 'a signature of one of the keys (ES256)' });
  });

  it.each([
    ['PASETO', 'v4.public.AAAA'],
    ['base64 with padding', 'eyJhbGciOiJFUzI1NiJ9.e30=.AAAA'],
  ])('for a token that is not a JWT, but has three segments: %s', async (_what, token) => {
    const { url, audience, key } = await startIssuer();
    const { checks } = await jwtVerifier({ issuer: url, audience, jwks: { keys: [key.publicJwk] } }).explain(token);
    expect(checks[0]?.fix).toContain('another format');
  });
});
