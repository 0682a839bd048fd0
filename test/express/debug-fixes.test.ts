import { describe, expect, it } from '@jest/globals';
import {
  bearer,
  getAuth,
  InvalidTokenError,
  type JwtBearerOptions,
  jwtBearer,
  type Middleware,
  requireAuthentication,
  requireClaim,
  requireClient,
  requireIssuer,
  requireScopes,
} from '../../lib/index.js';
import { rejectionLine } from '../../lib/express/report.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import { get, serve, startIssuer } from '../support/helpers.js';

/** The line that NODE_DEBUG prints for a request that is rejected. */
async function lineFor(
  claims: (issuer: TestIssuer) => object,
  gates: Middleware[] = [],
  options: Partial<JwtBearerOptions> = {},
): Promise<string> {
  const issuer = await startIssuer();
  const token = await issuer.issue({ ...claims(issuer) });
  const lines: string[] = [];
  const middleware = jwtBearer({
    issuer: issuer.url,
    audience: issuer.audience,
    onRejection: (error, req) => {
      lines.push(rejectionLine(error, req, issuer.now, token));
    },
    ...options,
  });
  const status = (await get(serve(middleware, ...gates), token)).status;
  expect([401, 403]).toContain(status);
  return lines.join('\n');
}

const none = (): object => ({});

/** Requires the issuer of the token with a slash behind it. */
const withSlash: Middleware = (req, res, next) => {
  requireIssuer(`${getAuth(req).issuer}/`)(req, res, next);
};

describe('the debug line names the usual mistake:', () => {
  it.each<[string, () => Promise<string>, RegExp]>([
    ['iat in milliseconds', () => lineFor(({ now }) => ({ iat: now * 1_000 })), /iat is in milliseconds/],
    ['nbf in milliseconds', () => lineFor(({ now }) => ({ nbf: now * 1_000 })), /nbf is in milliseconds/],
    ['a time as a text', () => lineFor(({ now }) => ({ exp: String(now + 60) })), /must write exp .* a finite number/],
    [
      'several audiences in one option',
      () => lineFor(none, [], { audience: 'https://a.example.com https://api.example.com' }),
      /option audience has several values in one text/,
    ],
    [
      'several audiences in one text of the token',
      () => lineFor(({ audience }) => ({ aud: `${audience} https://b.example.com` })),
      /server writes several audiences into one text/,
    ],
    [
      'the path of the audience',
      () => lineFor(({ audience }) => ({ aud: `${audience}/mcp` })),
      /differ only by the path/,
    ],
    [
      'scopes with commas',
      () => lineFor(() => ({ scope: 'a,b' }), [requireScopes('b')]),
      /separates scopes by another/,
    ],
    ['the letter case of a scope', () => lineFor(() => ({ scope: 'A' }), [requireScopes('a')]), /letter case/],
    [
      'clients in one text',
      () => lineFor(() => ({ client_id: 'x' }), [requireClient('x,y')]),
      /several clients in one/,
    ],
    ['the letter case of a client', () => lineFor(() => ({ client_id: 'X' }), [requireClient('x')]), /letter case/],
    [
      'a token without a client',
      () => lineFor(() => ({ client_id: undefined, azp: undefined }), [requireClient('x')]),
      /does not say which client calls: see the option clientIdClaims/,
    ],
    ['the slash of an issuer', () => lineFor(none, [withSlash]), /trailing slash/],
    ['an absent claim', () => lineFor(none, [requireClaim('org', 'a')]), /does not have the claim org/],
    ['the type of a claim', () => lineFor(() => ({ org: 1 }), [requireClaim('org', '1')]), /only by their type/],
    [
      'the path of a claim',
      () => lineFor(() => ({ ext: { roles: ['a'] } }), [requireClaim('ext.roles', 'a')]),
      /has the claim ext, and a name is not a path/,
    ],
    [
      'auth_time in milliseconds',
      () => lineFor(({ now }) => ({ auth_time: now * 1_000 }), [requireAuthentication({ maxAge: 60 })]),
      /auth_time is in milliseconds/,
    ],
  ])('%s', async (_, line, hint) => {
    expect(await line()).toMatch(hint);
  });

  it('a token that is not signed', async () => {
    const lines: string[] = [];
    const issuer = await startIssuer();
    const [, payload = ''] = (await issuer.issue()).split('.');
    const token = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
    const onRejection = (error: InvalidTokenError, req: Parameters<typeof rejectionLine>[1]): unknown =>
      lines.push(rejectionLine(error, req, issuer.now, token));
    const options = { issuer: issuer.url, audience: issuer.audience, onRejection: onRejection as never };
    await get(serve(jwtBearer(options)), token);
    expect(lines).toEqual([expect.stringContaining('not signed (alg none)')]);
  });

  it('the cause that an own verifier passed, without the token', async () => {
    const token = 'opaque-token-of-the-caller';
    const lines: string[] = [];
    const cause = new Error(`the list of blocked tokens has ${token}`);
    const verify = (): Promise<never> => Promise.reject(new InvalidTokenError('rejected', { cause }));
    const middleware = bearer(
      { verify },
      { onRejection: (error, req) => lines.push(rejectionLine(error, req, 0, token)) },
    );
    await get(serve(middleware), token);
    expect(lines).toEqual([expect.stringContaining('cause the list of blocked tokens has …')]);
  });
});
