import { describe, expect, it, jest } from '@jest/globals';
import {
  bearer,
  introspectionVerifier,
  jwtVerifier,
  type JwtVerifierOptions,
  type Middleware,
  redisStore,
  type RejectionListener,
  requireScopes,
  type TokenVerifier,
} from '../../lib/index.js';
import { rejectionLine } from '../../lib/express/report.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import { makeCertificate } from '../support/certificates.js';
import { DpopClient } from '../support/dpop.js';
import { get, serve, startIssuer } from '../support/helpers.js';
import { optionsFor, SECRET } from '../support/introspection.js';
import { eventually } from '../support/time.js';
import { listenTls } from '../support/tls.js';
import { codesOf, recordWarnings } from '../support/warnings.js';

/** What is wrong, and what each view shows. */
interface Mistake {
  readonly name: string;
  readonly verifier?: (issuer: TestIssuer) => TokenVerifier | Promise<TokenVerifier>;
  readonly token?: (issuer: TestIssuer, verifier: TokenVerifier) => Promise<string> | string;
  readonly gates?: readonly Middleware[];
  readonly reason: string;
  /** The code of the process warning; none for a token that is rejected. */
  readonly warning?: string;
  /** What the warning, the debug line and `explain` say about cause and fix. */
  readonly console?: RegExp;
  readonly debug: RegExp;
  readonly explain: RegExp;
}

function jwtVerifierFor(issuer: TestIssuer, options: Partial<JwtVerifierOptions> = {}): TokenVerifier {
  return jwtVerifier({ issuer: issuer.url, audience: issuer.audience, ...options });
}

function noSuchHost(hostname: string): Error {
  return Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND', hostname });
}

const LATER = 3_600;

const MISTAKES: readonly Mistake[] = [
  {
    name: 'an issuer with a slash that the tokens do not have',
    verifier: (issuer) => jwtVerifierFor(issuer, { issuer: `${issuer.url}/` }),
    reason: 'issuer_mismatch',
    warning: 'ERS_ISSUER_MISMATCH',
    console: /the trailing slash/,
    debug: /checked iss, .*slash/,
    explain: /slash/,
  },
  {
    name: 'an issuer without the slash that the tokens have',
    verifier: (issuer) => {
      issuer.metadata.issuer = `${issuer.url}/`;
      return jwtVerifierFor(issuer);
    },
    token: (issuer) => issuer.issue({ iss: `${issuer.url}/` }),
    reason: 'issuer_mismatch',
    warning: 'ERS_ISSUER_MISMATCH',
    console: /the trailing slash/,
    debug: /checked iss, .*slash/,
    explain: /slash/,
  },
  {
    name: 'another name of the host',
    verifier: (issuer) =>
      jwtVerifierFor(issuer, {
        issuer: issuer.url.replace('127.0.0.1', 'localhost'),
        // The same server, without a look-up of the name.
        fetch: (url, init) => fetch(url.replace('localhost', '127.0.0.1'), init),
      }),
    reason: 'issuer_mismatch',
    warning: 'ERS_ISSUER_MISMATCH',
    console: /localhost/,
    debug: /checked iss, expected .*localhost.* found .*127\.0\.0\.1/,
    explain: /localhost/,
  },
  {
    name: 'the host of another issuer',
    verifier: (issuer) =>
      jwtVerifierFor(issuer, {
        issuer: 'https://auth.example.com',
        fetch: (url, init) => fetch(url.replace('https://auth.example.com', issuer.url), init),
      }),
    reason: 'issuer_mismatch',
    warning: 'ERS_ISSUER_MISMATCH',
    console: /auth\.example\.com.*127\.0\.0\.1.*Set the option issuer/,
    debug: /checked iss, expected .*auth\.example\.com.* found .*127\.0\.0\.1.*Compare the option issuer/,
    explain: /auth\.example\.com.*127\.0\.0\.1.*Compare the option issuer/,
  },
  {
    name: 'a host without an address',
    // A resolver may need seconds for a name that does not exist.
    verifier: (issuer) =>
      jwtVerifierFor(issuer, {
        issuer: 'https://auth.example.com',
        fetch: () => Promise.reject(new TypeError('fetch failed', { cause: noSuchHost('auth.example.com') })),
      }),
    token: (issuer) => issuer.issue({ iss: 'https://auth.example.com' }),
    reason: 'metadata_unavailable',
    warning: 'ERS_UNREACHABLE',
    console: /auth\.example\.com.*ENOTFOUND.*DNS/,
    debug: /auth\.example\.com.*ENOTFOUND.*DNS/,
    explain: /auth\.example\.com.*ENOTFOUND.*DNS/,
  },
  {
    name: 'a server that refuses connections',
    verifier: async (issuer) => {
      await issuer.goDown();
      return jwtVerifierFor(issuer);
    },
    reason: 'metadata_unavailable',
    warning: 'ERS_UNREACHABLE',
    console: /ECONNREFUSED.*Check the address/,
    debug: /ECONNREFUSED.*Check the address/,
    explain: /ECONNREFUSED.*Check the address/,
  },
  {
    name: 'HTML instead of metadata',
    verifier: (issuer) => {
      issuer.fail('metadata', 'html');
      return jwtVerifierFor(issuer);
    },
    reason: 'metadata_unavailable',
    warning: 'ERS_NOT_JSON',
    console: /HTML page.*Open the address/,
    debug: /HTML page.*Open the address/,
    explain: /HTML page.*Open the address/,
  },
  {
    name: 'a redirect',
    verifier: (issuer) => {
      issuer.fail('metadata', 'redirect');
      return jwtVerifierFor(issuer);
    },
    reason: 'metadata_unavailable',
    warning: 'ERS_REDIRECT',
    console: /redirects to another origin.*Set the option/,
    debug: /redirects to another origin.*Set the option/,
    explain: /redirects to another origin.*Set the option/,
  },
  {
    name: 'a self-signed certificate',
    verifier: async (issuer) => {
      const port = await listenTls((_req, res) => res.end('{}'), makeCertificate('127.0.0.1'));
      return jwtVerifierFor(issuer, { issuer: `https://127.0.0.1:${port}` });
    },
    token: (issuer, verifier) => issuer.issue({ iss: verifier.issuer }),
    reason: 'metadata_unavailable',
    warning: 'ERS_TLS',
    console: /DEPTH_ZERO_SELF_SIGNED_CERT.*NODE_EXTRA_CA_CERTS/,
    debug: /DEPTH_ZERO_SELF_SIGNED_CERT.*NODE_EXTRA_CA_CERTS/,
    explain: /DEPTH_ZERO_SELF_SIGNED_CERT.*NODE_EXTRA_CA_CERTS/,
  },
  {
    name: 'another audience',
    token: (issuer) => issuer.issue({ aud: 'https://other.example.com' }),
    reason: 'audience_mismatch',
    debug: /checked aud, expected .* found .*other\.example\.com.*Compare the option audience/,
    explain: /other\.example\.com.*Compare the option audience/,
  },
  {
    name: 'a token without an audience',
    token: (issuer) => issuer.issue({ aud: undefined }),
    reason: 'audience_missing',
    debug: /put the identifier of this API into aud/,
    explain: /put the identifier of this API into aud/,
  },
  {
    name: 'an ID token',
    token: (issuer) => issuer.issue({ at_hash: 'abc' }),
    reason: 'id_token',
    debug: /This is an ID token/,
    explain: /This is an ID token/,
  },
  {
    name: 'an opaque token for a JWT verifier',
    token: () => 'opaque-token',
    reason: 'not_a_jwt',
    debug: /Use introspectionBearer/,
    explain: /Use introspectionBearer/,
  },
  {
    name: 'an expired token',
    token: (issuer) => issuer.issue({ exp: issuer.now - 180 }),
    reason: 'expired',
    debug: /3 minutes ago/,
    explain: /3 minutes ago/,
  },
  {
    name: 'a wrong clock',
    verifier: (issuer) => jwtVerifierFor(issuer, { clock: () => Date.now() / 1000 - LATER }),
    token: (issuer) => issuer.issue({ iat: issuer.now, exp: issuer.now + LATER }),
    reason: 'issued_in_future',
    warning: 'ERS_CLOCK_DIFFERENCE',
    console: /clock/,
    debug: /clock/,
    explain: /clock/,
  },
  {
    name: 'a key that was rotated',
    token: (issuer) => issuer.issue({}, { header: { kid: 'old-key' } }),
    reason: 'unknown_key',
    debug: /checked kid, expected .* found .*old-key.*the keys were rotated/,
    explain: /old-key.*the keys were rotated/,
  },
  {
    name: 'a wrong introspection secret',
    verifier: (issuer) => {
      issuer.introspection.client = { id: 'api', secret: 'another' };
      return introspectionVerifier(optionsFor(issuer));
    },
    token: (issuer) => issuer.issueOpaque(),
    reason: 'introspection_unavailable',
    warning: 'ERS_CREDENTIALS_REJECTED',
    console: /401.*Check clientId, clientSecret/,
    debug: /401.*Check clientId, clientSecret/,
    explain: /401.*Check clientId, clientSecret/,
  },
  {
    name: 'no introspection endpoint',
    verifier: (issuer) => {
      issuer.metadata.introspection_endpoint = undefined;
      return introspectionVerifier(optionsFor(issuer));
    },
    token: (issuer) => issuer.issueOpaque(),
    reason: 'introspection_unavailable',
    warning: 'ERS_INTROSPECTION_MISSING',
    console: /introspection_endpoint.*Set the option introspectionEndpoint/,
    debug: /introspection_endpoint.*Set the option introspectionEndpoint/,
    explain: /introspection_endpoint.*Set the option introspectionEndpoint/,
  },
  {
    name: 'an introspection endpoint that responds 404',
    verifier: (issuer) => {
      issuer.fail('introspection', 'missing');
      return introspectionVerifier(optionsFor(issuer));
    },
    token: (issuer) => issuer.issueOpaque(),
    reason: 'introspection_unavailable',
    warning: 'ERS_INTROSPECTION_MISSING',
    console: /404.*Set the option introspectionEndpoint/,
    debug: /404.*Set the option introspectionEndpoint/,
    explain: /404.*Set the option introspectionEndpoint/,
  },
  {
    name: 'a missing scope',
    token: (issuer) => issuer.issue({ scope: 'orders:read' }),
    gates: [requireScopes('orders:write')],
    reason: 'scope_missing',
    debug: /expected .*orders:write.* found .*orders:read.*The client must request the scope/,
    // A gate is not part of the verifier.
    explain: /"accepted":true/,
  },
];

describe('a mistake is visible with its cause', () => {
  it.each(MISTAKES)('$name', async (mistake) => {
    const warnings = recordWarnings();
    const issuer = await startIssuer();
    const verifier = await (mistake.verifier ?? jwtVerifierFor)(issuer);
    const token = await (mistake.token ?? (() => issuer.issue()))(issuer, verifier);
    const seen: { reason: string; line: string }[] = [];
    const onRejection: RejectionListener = (error, req) => {
      seen.push({ reason: error.reason, line: rejectionLine(error, req, Date.now() / 1000, token) });
    };
    await verifier.ready?.().catch(() => undefined);
    const response = await get(serve(bearer(verifier, { onRejection }), ...(mistake.gates ?? [])), token);
    expect(response.status).toBeGreaterThanOrEqual(400);

    // In the console, without code: nothing about a token, a whole sentence about everything else.
    expect([...new Set(codesOf(warnings))]).toEqual(mistake.warning === undefined ? [] : [mistake.warning]);
    expect(warnings[0]?.message ?? '').toMatch(mistake.console ?? /^$/);
    // In onRejection, once, and with NODE_DEBUG.
    expect(seen).toEqual([{ reason: mistake.reason, line: expect.stringMatching(mistake.debug) }]);
    // In explain.
    const explanation = JSON.stringify(await verifier.explain?.(token));
    expect(explanation).toMatch(mistake.explain);

    const [signature = token] = token.split('.').slice(2);
    for (const view of [JSON.stringify(warnings), JSON.stringify(seen), explanation, response.text]) {
      expect(view).not.toContain(signature);
      expect(view).not.toContain(SECRET);
    }
    await verifier.close?.();
  });

  // The program does not start, so there is no debug line, no rejection and nothing to explain.
  it('a discovery URL as the issuer', () => {
    const issuer = 'https://auth.example.com/.well-known/openid-configuration';
    expect(() => jwtVerifier({ issuer, audience: 'api' })).toThrow(
      /jwtVerifier: issuer: expected .*, got "https:\/\/auth\.example\.com\/\.well-known\/.*without \/\.well-known\//,
    );
  });

  // A mistake of the programmer is no rejection, and does not depend on the token: the error handler of the application
  // receives it. The default one of Express prints it to the console.
  it('a gate before the middleware', async () => {
    const printed = jest.spyOn(console, 'error').mockImplementation(() => undefined);
    const rejections: unknown[] = [];
    const middleware = bearer(
      { verify: () => Promise.reject(new Error('not called')) },
      { onRejection: (error) => rejections.push(error) },
    );
    const app = serve(requireScopes('orders:read'), middleware);
    // In tests, Express prints nothing.
    app.set('env', 'development');
    expect((await get(app, 'token')).status).toBe(500);
    await eventually('the line', () => printed.mock.calls.length > 0);
    expect(printed.mock.calls.join()).toMatch(/ConfigurationError: requireScopes: .*jwtBearer/);
    expect(rejections).toEqual([]);
  });

  it('Redis that is down', async () => {
    const warnings = recordWarnings();
    const issuer = await startIssuer();
    const client = await DpopClient.make();
    const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:6379'), { code: 'ECONNREFUSED' });
    const store = redisStore({ sendCommand: () => Promise.reject(refused) });
    const lines: string[] = [];
    const onRejection: RejectionListener = (error, req) => {
      lines.push(rejectionLine(error, req, Date.now() / 1000, undefined));
    };
    const verifier = jwtVerifierFor(issuer);
    const middleware = bearer(verifier, {
      dpop: { mode: 'allowed', store },
      baseUrl: 'https://api.example.com',
      onRejection,
    });
    const token = await issuer.issue({ cnf: client.cnf });
    const proof = await client.prove(token);
    const response = await get(serve(middleware)).set({ Authorization: `DPoP ${token}`, DPoP: proof });
    expect(response.status).toBe(503);
    expect(warnings).toEqual([{ code: 'ERS_STORE', message: expect.stringMatching(/ECONNREFUSED.*503/) }]);
    expect(lines).toEqual([expect.stringMatching(/store_unavailable.*ECONNREFUSED.*Check the store/)]);
    // The verifier does not use the store: the token is not the problem.
    expect(await verifier.explain?.(token)).toMatchObject({ accepted: true });
  });

  it('Redis that is down, for introspection: requests are accepted without it', async () => {
    const warnings = recordWarnings();
    const issuer = await startIssuer();
    const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:6379'), { code: 'ECONNREFUSED' });
    const store = redisStore({ sendCommand: () => Promise.reject(refused) });
    const verifier = introspectionVerifier(optionsFor(issuer, { store }));
    const token = issuer.issueOpaque();
    for (let i = 0; i < 3; i++) expect((await get(serve(bearer(verifier)), token)).status).toBe(200);
    expect(warnings).toEqual([{ code: 'ERS_STORE', message: expect.stringMatching(/ECONNREFUSED.*Check the store/) }]);
    expect(await verifier.explain(token)).toMatchObject({ accepted: true });
  });
});
