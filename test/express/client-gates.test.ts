import { describe, expect, it } from '@jest/globals';
import {
  bearer,
  ConfigurationError,
  createAccessToken,
  type Middleware,
  requireClient,
  requireIssuer,
  type TokenVerifier,
} from '../../lib/index.js';
import { expectForbidden, get, serve } from '../support/helpers.js';

const LOGIN = 'https://login.example.com';
const PARTNER = 'https://partner.example.com';

/** The token names its issuer and its client: `login.billing`, `partner.billing`. */
const verifier: TokenVerifier = {
  verify: (token) => {
    const [issuer = '', clientId] = token.split('.');
    return createAccessToken({ client_id: clientId, scope: 'admin' }, { issuer: `https://${issuer}.example.com` });
  },
};

function behind(...gates: Middleware[]): ReturnType<typeof serve> {
  return serve(bearer(verifier), ...gates);
}

describe('requireClient', () => {
  it('allows a client of any issuer, or of one issuer', async () => {
    const app = behind(requireClient({ issuer: LOGIN, clientId: 'billing' }, 'archive'));
    expect((await get(app, 'login.billing')).status).toBe(200);
    expect((await get(app, 'partner.archive')).status).toBe(200);
    await expectForbidden(app, 'partner.billing', 'client_refused');
    await expectForbidden(app, 'login.other', 'client_refused');
    await expectForbidden(app, 'login', 'client_refused');
  });

  it('allows the same client of several issuers', async () => {
    const app = behind(requireClient({ issuer: LOGIN, clientId: 'a' }, { issuer: PARTNER, clientId: 'b' }));
    expect((await get(app, 'login.a')).status).toBe(200);
    expect((await get(app, 'partner.b')).status).toBe(200);
    await expectForbidden(app, 'login.b', 'client_refused');
    await expectForbidden(app, 'partner.a', 'client_refused');
  });

  it('does not change when the application changes its array or object later', async () => {
    const client = { issuer: LOGIN, clientId: 'billing' };
    const app = behind(requireClient(client));
    client.issuer = PARTNER;
    await expectForbidden(app, 'partner.billing', 'client_refused');
  });

  it.each<[string, unknown[]]>([
    ['no client', []],
    ['an empty id', ['']],
    ['an array', [['billing']]],
    ['a number', [7]],
    ['null', [null]],
    ['undefined', ['billing', undefined]],
    ['an object without an issuer', [{ clientId: 'billing' }]],
    ['an object without a client', [{ issuer: LOGIN }]],
    ['an empty issuer', [{ issuer: '', clientId: 'billing' }]],
    ['a client in an array', [{ issuer: LOGIN, clientId: ['billing'] }]],
    ['an unknown member', [{ issuer: LOGIN, clientId: 'billing', scope: 'a' }]],
  ])('throws a ConfigurationError for %s', (_what, given) => {
    expect(() => requireClient(...(given as [string]))).toThrow(ConfigurationError);
    expect(() => requireClient(...(given as [string]))).toThrow(/^requireClient/);
  });
});

describe('requireIssuer', () => {
  it('allows the tokens of these issuers', async () => {
    const app = behind(requireIssuer(LOGIN, 'https://other.example.com'));
    expect((await get(app, 'login.billing')).status).toBe(200);
    expect((await get(app, 'other')).status).toBe(200);
    await expectForbidden(app, 'partner.billing', 'issuer_refused');
  });

  it.each(['https://login.example.com/', 'https://LOGIN.example.com', 'login.example.com'])(
    'compares them exactly: %s',
    async (issuer) => {
      await expectForbidden(behind(requireIssuer(issuer)), 'login.billing', 'issuer_refused');
    },
  );

  it.each<[string, unknown[]]>([
    ['no issuer', []],
    ['an empty issuer', ['']],
    ['an array', [[LOGIN]]],
    ['an object', [{ issuer: LOGIN }]],
  ])('throws a ConfigurationError for %s', (_what, given) => {
    expect(() => requireIssuer(...(given as [string]))).toThrow(/^requireIssuer/);
  });
});
