import { describe, expect, it } from '@jest/globals';
import type { InvalidTokenError } from '../../lib/index.js';
import { introspectionVerifier, jwtVerifier, type JwtVerifierOptions } from '../../lib/index.js';
import { startIssuer } from '../support/helpers.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';

type Claims = Record<string, unknown>;
type Options = Partial<JwtVerifierOptions>;

/** Verifies the same claims as a JWT and as an introspection response. Returns the reasons, or 'accepted'. */
async function outcomesOf(claims: Claims, options: Options = {}): Promise<string[]> {
  const issuer = await startIssuer();
  const { allowIdTokens, clientIdClaims, audience = issuer.audience } = options;
  const shared = { issuer: issuer.url, audience, allowIdTokens, clientIdClaims };
  const jwt = jwtVerifier({ ...shared, jwks: { keys: [issuer.key.publicJwk] } });
  const { introspectionEndpoint } = issuer;
  const opaque = introspectionVerifier({ ...shared, introspectionEndpoint, clientId: 'api', clientSecret: 'secret' });
  const verifying = [
    async () => jwt.verify(await issuer.issue(claims)),
    async () => opaque.verify(issuer.issueOpaque(claims)),
  ];
  return Promise.all(
    verifying.map((verify) =>
      verify().then(
        () => 'accepted',
        (error: unknown) => (error as InvalidTokenError).reason,
      ),
    ),
  );
}

const twice = (outcome: string): string[] => [outcome, outcome];

const KIND_CLAIMS = [
  ...['token_use', 'token_usage', 'token_type', 'tokenType', 'TokenType', 'tokenName', 'typ', 'type', 'purpose'],
];
const URN = 'urn:ietf:params:oauth:token-type:';

describe('a token that states that it is not an access token', () => {
  it.each(
    KIND_CLAIMS.flatMap((name) =>
      [
        'id',
        'ID',
        'id_token',
        'Id_Token',
        'id-token',
        'idToken',
        `${URN}id_token`,
        `${URN.toUpperCase()}ID_TOKEN`,
        ['id'],
        [7, 'id_token'],
      ].map((value) => ({ name, value })),
    ),
  )('is rejected as an ID token: $name $value', async ({ name, value }) => {
    expect(await outcomesOf({ [name]: value })).toEqual(twice('id_token'));
    expect(await outcomesOf({ [name]: value }, { allowIdTokens: true })).toEqual(twice('accepted'));
  });

  it.each(
    KIND_CLAIMS.flatMap((name) =>
      [
        ...['refresh', 'Refresh', 'refresh_token', 'refresh-token', 'refreshToken', 'Refresh Token'],
        ...['Offline', 'logout', 'Logout', 'logout_token', `${URN}refresh_token`],
      ].map((value) => ({ name, value })),
    ),
  )('is always rejected: $name $value', async ({ name, value }) => {
    expect(await outcomesOf({ [name]: value })).toEqual(twice('type_refused'));
    expect(await outcomesOf({ [name]: value }, { allowIdTokens: true })).toEqual(twice('type_refused'));
  });

  it.each<[string, Claims]>([
    ['at_hash', { at_hash: 'x' }],
    ['an empty at_hash', { at_hash: '' }],
    ['c_hash', { c_hash: 'x' }],
    ['s_hash', { s_hash: 7 }],
  ])('is rejected as an ID token: %s', async (_what, claims) => {
    expect(await outcomesOf(claims)).toEqual(twice('id_token'));
    expect(await outcomesOf(claims, { allowIdTokens: true })).toEqual(twice('accepted'));
  });

  it.each<[string, Claims]>([
    ['a logout token', { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }],
    ['any event', { events: [] }],
    ['an authorization response', { code: 'x', state: 'y' }],
    ['an authorization response with empty members', { code: '', state: '' }],
  ])('is always rejected: %s', async (_what, claims) => {
    expect(await outcomesOf(claims)).toEqual(twice('type_refused'));
    expect(await outcomesOf(claims, { allowIdTokens: true })).toEqual(twice('type_refused'));
  });
});

describe('a nonce', () => {
  const NONE = { client_id: undefined, nonce: 'n' };

  it.each<[string, Claims, Options]>([
    ['nothing else', {}, {}],
    ['null members', { client_id: null, azp: null, scope: null }, {}],
    ['empty members', { azp: '', scope: '', scp: [] }, {}],
    ['members of other types', { azp: 7, scope: 7, scp: [7] }, {}],
    ['permissions', { permissions: ['a'], roles: ['b'] }, {}],
    ['a configured claim that every ID token has', {}, { clientIdClaims: ['sub'] }],
    ['configured claims that every ID token has', {}, { clientIdClaims: ['aud', 'iss'] }],
  ])('with %s means an ID token', async (_what, claims, options) => {
    expect(await outcomesOf({ ...NONE, ...claims }, options)).toEqual(twice('id_token'));
    expect(await outcomesOf({ ...NONE, ...claims }, { ...options, allowIdTokens: true })).toEqual(twice('accepted'));
  });

  it.each<[string, Claims, Options]>([
    ['client_id', { client_id: 'web' }, {}],
    ['azp', { azp: 'web' }, {}],
    ['two different clients', { client_id: 'a', azp: 'b' }, {}],
    ['cid', { cid: 'web' }, {}],
    ['a scope', { scope: 'openid' }, {}],
    ['scp', { scp: ['a'] }, {}],
    ['a configured client', { app: 'web' }, { clientIdClaims: ['app'] }],
  ])('with %s is accepted', async (_what, claims, options) => {
    expect(await outcomesOf({ ...NONE, ...claims }, options)).toEqual(twice('accepted'));
  });
});

describe('an access token', () => {
  it.each<[string, Claims]>([
    ...KIND_CLAIMS.flatMap((name) =>
      [
        'access',
        'access_token',
        'access-token',
        'app',
        'Bearer',
        'N_A',
        'at',
        'at+jwt',
        'jwt',
        `${URN}access_token`,
        '',
        7,
        null,
        {},
      ].map((value): [string, Claims] => [`${name} ${JSON.stringify(value)}`, { [name]: value }]),
    ),
    ['a token_type that cannot be converted to text', { token_type: { toString: 1, valueOf: 1 } }],
    ['state without code', { state: 'x' }],
    ['code without state', { code: 'x' }],
    ['null members', { at_hash: null, c_hash: null, s_hash: null, events: null, code: null, state: 'x', nonce: null }],
    ['claims of a person', { sid: 's', auth_time: 1, email: 'p@example.test', amr: ['pwd'] }],
  ])('is accepted with %s', async (_what, claims) => {
    expect(await outcomesOf(claims)).toEqual(twice('accepted'));
  });
});

describe('a token with the type DPoP', () => {
  it.each<[string, Claims]>([
    ['token_type', { token_type: 'DPoP' }],
    ['token_type in another case', { token_type: 'dpop' }],
    ['typ', { typ: 'DPoP' }],
    ['a type in an array', { token_type: ['DPoP'] }],
    ['with a null cnf', { token_type: 'DPoP', cnf: null }],
    ['with the thumbprint of a certificate only', { token_type: 'DPoP', cnf: { 'x5t#S256': 'x' } }],
  ])('is rejected if it is not bound to a key: %s', async (_what, claims) => {
    expect(await outcomesOf(claims)).toEqual(twice('binding_missing'));
  });

  it('is accepted by the verifier if it is bound to a key', async () => {
    expect(await outcomesOf({ token_type: 'DPoP', cnf: { jkt: 'x' } })).toEqual(twice('accepted'));
  });
});

describe('the type in the header', () => {
  const OTHERS = [
    ...[
      'logout+jwt',
      'dpop+jwt',
      'oauth-id-jag+jwt',
      'secevent+jwt',
      'token-introspection+jwt',
      'entity-statement+jwt',
    ],
    ...['application/okta-internal-at+jwt', 'LOGOUT+JWT', 'kb+jwt', 'client-authentication+jwt', 'oauth-authz-req+jwt'],
    ...['dc+sd-jwt', 'vc+sd-jwt', 'JOSE', 'id_token', 'refresh'],
  ];

  async function verify(
    typ: string | undefined,
    how: 'jwt' | 'introspection',
    options: Options = {},
  ): Promise<TestIssuer> {
    const issuer = await startIssuer();
    const token = await issuer.issue({}, { header: { typ } });
    const shared = { issuer: issuer.url, audience: issuer.audience, ...options };
    issuer.issueOpaque({}, token);
    const { introspectionEndpoint } = issuer;
    await (how === 'jwt'
      ? jwtVerifier({ ...shared, jwks: { keys: [issuer.key.publicJwk] } }).verify(token)
      : introspectionVerifier({
          issuer: issuer.url,
          audience: issuer.audience,
          introspectionEndpoint,
          clientId: 'api',
          clientSecret: 'secret',
        }).verify(token));
    return issuer;
  }

  it.each(OTHERS)('is rejected if it is another kind of JWT: %s', async (typ) => {
    await expect(verify(typ, 'jwt')).rejects.toMatchObject({ reason: 'type_refused' });
    await expect(verify(typ, 'jwt', { allowIdTokens: true })).rejects.toMatchObject({ reason: 'type_refused' });
  });

  it.each(OTHERS.filter((typ) => /jwt$/i.test(typ)))(
    'is rejected before introspection if it is another kind of JWT: %s',
    async (typ) => {
      await expect(verify(typ, 'introspection')).rejects.toMatchObject({ reason: 'type_refused' });
    },
  );

  it.each(['at+jwt', 'application/at+jwt', 'AT+JWT', 'JWT', 'application/jwt', undefined])(
    'is accepted if it is the type of an access token: %s',
    async (typ) => {
      await expect(verify(typ, 'jwt')).resolves.toBeDefined();
      await expect(verify(typ, 'introspection')).resolves.toBeDefined();
    },
  );
});
