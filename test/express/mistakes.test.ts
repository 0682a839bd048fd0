import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
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
import { get, serve, serveWithErrorHandler, startIssuer } from '../support/helpers.js';
import { optionsFor, SECRET } from '../support/introspection.js';
import { listenTls } from '../support/tls.js';
import { codesOf, recordWarnings } from '../support/warnings.js';

/** What is wrong, and what each view shows. */
interface Mistake {
  readonly name: string;
  readonly verifier?: (issuer: TestIssuer) => TokenVerifier | Promise<TokenVerifier>;
  readonly token?: (issuer: TestIssuer) => Promise<string> | string;
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
    name: 'a wrong host',
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
    debug: /ENOTFOUND/,
    explain: /ENOTFOUND/,
  },
  {
    name: 'a server that refuses connections',
    verifier: async (issuer) => {
      await issuer.goDown();
      return jwtVerifierFor(issuer);
    },
    reason: 'metadata_unavailable',
    warning: 'ERS_UNREACHABLE',
    console: /ECONNREFUSED/,
    debug: /ECONNREFUSED/,
    explain: /ECONNREFUSED/,
  },
  {
    name: 'HTML instead of metadata',
    verifier: (issuer) => {
      issuer.fail('metadata', 'html');
      return jwtVerifierFor(issuer);
    },
    reason: 'metadata_unavailable',
    warning: 'ERS_NOT_JSON',
    console: /JSON/,
    debug: /JSON/,
    explain: /JSON/,
  },
  {
    name: 'a redirect',
    verifier: (issuer) => {
      issuer.fail('metadata', 'redirect');
      return jwtVerifierFor(issuer);
    },
    reason: 'metadata_unavailable',
    warning: 'ERS_REDIRECT',
    console: /redirects to another origin/,
    debug: /redirects to another origin/,
    explain: /redirects to another origin/,
  },
  {
    name: 'a self-signed certificate',
    verifier: async (issuer) => {
      const port = await listenTls((_req, res) => res.end('{}'), makeCertificate('127.0.0.1'));
      return jwtVerifierFor(issuer, { issuer: `https://127.0.0.1:${port}` });
    },
    token: async (issuer) => issuer.issue({ iss: issuer.audience }),
    reason: 'issuer_mismatch',
    warning: 'ERS_TLS',
    console: /NODE_EXTRA_CA_CERTS/,
    debug: /checked iss/,
    explain: /iss/,
  },
  {
    name: 'another audience',
    token: (issuer) => issuer.issue({ aud: 'https://other.example.com' }),
    reason: 'audience_mismatch',
    debug: /checked aud, expected .* found .*other\.example\.com/,
    explain: /other\.example\.com/,
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
    debug: /checked kid, expected .* found .*old-key/,
    explain: /old-key/,
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
    console: /credentials|client/,
    debug: /401/,
    explain: /401/,
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
    console: /introspection_endpoint/,
    debug: /introspection_endpoint/,
    explain: /introspection_endpoint/,
  },
  {
    name: 'a missing scope',
    token: (issuer) => issuer.issue({ scope: 'orders:read' }),
    gates: [requireScopes('orders:write')],
    reason: 'scope_missing',
    debug: /expected .*orders:write.* found .*orders:read/,
    // A gate is not part of the verifier.
    explain: /"accepted":true/,
  },
];

describe('a mistake is visible with its cause', () => {
  it.each(MISTAKES)('$name', async (mistake) => {
    const warnings = recordWarnings();
    const issuer = await startIssuer();
    const token = await (mistake.token ?? (() => issuer.issue()))(issuer);
    const verifier = await (mistake.verifier ?? jwtVerifierFor)(issuer);
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

  it('a gate before the middleware', async () => {
    const { app, errors } = serveWithErrorHandler(requireScopes('orders:read'));
    await get(app, 'token');
    expect(errors).toMatchObject([{ name: 'ConfigurationError', fix: expect.stringContaining('jwtBearer') }]);
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
    const middleware = bearer(jwtVerifierFor(issuer), {
      dpop: { mode: 'allowed', store },
      baseUrl: 'https://api.example.com',
      onRejection,
    });
    const token = await issuer.issue({ cnf: client.cnf });
    const proof = await client.prove(token);
    const response = await get(serve(middleware)).set({ Authorization: `DPoP ${token}`, DPoP: proof });
    expect(response.status).toBe(503);
    expect(warnings).toEqual([{ code: 'ERS_STORE', message: expect.stringMatching(/ECONNREFUSED.*503/) }]);
    expect(lines).toEqual([expect.stringMatching(/store_unavailable.*ECONNREFUSED/)]);
  });
});

describe('no view contains a character that forges a log line', () => {
  const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/; // eslint-disable-line no-control-regex
  const text = fc.string({ unit: 'binary', maxLength: 30 });

  it('whatever the claims and the path are', async () => {
    const issuer = await startIssuer();
    const verifier = jwtVerifierFor(issuer);
    await fc.assert(
      fc.asyncProperty(text, text, text, text, async (aud, clientId, kid, path) => {
        const token = await issuer.issue({ aud, client_id: clientId }, { header: { kid } });
        const error: unknown = await Promise.resolve(verifier.verify(token)).catch((failure: unknown) => failure);
        const req = { method: 'GET', url: `/${path}`, headers: {} };
        const line = Reflect.apply(rejectionLine, undefined, [error, req, issuer.now, token]) as string;
        expect(line).not.toMatch(controls);
        expect(line).not.toContain(token.split('.')[2]);
      }),
      { numRuns: 100 },
    );
  });
});
