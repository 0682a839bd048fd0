import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Readable } from 'node:stream';
import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  bearer,
  introspectionVerifier,
  jwtVerifier,
  type Middleware,
  requireAuthentication,
  requireAuthorizationDetails,
  requireClaim,
  requireClient,
  requireIssuer,
  requireScopes,
  type ResourceServerError,
  trustedIssuers,
  type TrustedIssuersVerifier,
} from '../lib/index.js';
import { run } from '../lib/cli/run.js';
import { renderChecks, toJson } from '../lib/cli/report.js';
import { rejectionLine } from '../lib/express/report.js';
import type { TestIssuer } from '../lib/testing/issuer.js';
import { BASE_URL, DpopClient } from './support/dpop.js';
import { getRaw, listen, serve, signRaw, startIssuer } from './support/helpers.js';
import { expectSafe, hostileBytes, hostileText, viewsOfError } from './support/hostile-text.js';
import { optionsFor, SECRET } from './support/introspection.js';
import { recordWarnings } from './support/warnings.js';

/** What a caller sends, and what of it no view may show. */
interface Attempt {
  readonly token?: string;
  readonly fields: readonly string[];
  readonly path: string;
  readonly secrets: readonly string[];
}

/** All channels whose messages contain an error. */
const CHANNELS = ['request.rejected', 'keys.refresh_failed', 'introspection'].map(
  (name) => `express-resource-server.${name}`,
);

const GATES: readonly Middleware[] = [
  requireScopes('orders:write'),
  requireClaim('tenant', 'a'),
  requireClient('shop'),
  requireIssuer('https://other.example.com'),
  requireAuthentication({ acrValues: ['gold'] }),
  requireAuthorizationDetails('payment'),
];

const claimNames = [
  'iss',
  'aud',
  'client_id',
  'azp',
  'scope',
  'sub',
  'typ',
  'token_use',
  'tenant',
  'acr',
  'jti',
  'FORGED\n',
];
const claims = fc.dictionary(fc.constantFrom(...claimNames), fc.oneof(hostileText, fc.array(hostileText)), {
  maxKeys: 4,
});
const badTimes = fc.record({ exp: hostileText, iat: hostileText, cnf: hostileText }, { requiredKeys: [] });
const header = fc.record(
  { kid: hostileText, typ: hostileText, alg: hostileText, crit: fc.array(hostileText) },
  { requiredKeys: [] },
);
const proofClaims = fc.record(
  { jti: hostileText, htm: hostileText, htu: hostileText, ath: hostileText, nonce: hostileText },
  { requiredKeys: [] },
);
const proofHeader = fc.record({ typ: hostileText, jwk: fc.dictionary(hostileText, hostileText) }, { requiredKeys: [] });

/** Runs a command in this process. */
async function command(args: string[], input: string, isTerminal = false): Promise<string> {
  const written: string[] = [];
  const output = { write: (text: string) => written.push(text), isTTY: isTerminal, hasColors: () => true };
  const stdin = Object.assign(Readable.from([Buffer.from(input)]), { isTTY: false });
  await run(args, { stdin, stdout: output, stderr: output });
  // The colors of the command itself.
  return written.join('').replace(/\u001b\[(?:1|2|22|31|32|33|39)m/g, ''); // eslint-disable-line no-control-regex
}

/** An API for JWTs and opaque tokens, with and without DPoP, and everything that an operator sees of it. */
class Scene {
  readonly errors: ResourceServerError[] = [];
  readonly lines: string[] = [];
  readonly warnings = recordWarnings();
  token: string | undefined;
  port = 0;
  gate: Middleware = (_req, _res, next) => {
    next();
  };

  private constructor(
    readonly issuer: TestIssuer,
    readonly client: DpopClient,
    readonly verifier: TrustedIssuersVerifier,
  ) {}

  static async make(): Promise<Scene> {
    const issuer = await startIssuer();
    issuer.introspection.client = { id: 'api', secret: SECRET };
    const jwt = jwtVerifier({ issuer: issuer.url, audience: issuer.audience });
    const introspection = introspectionVerifier(optionsFor(issuer));
    const scene = new Scene(issuer, await DpopClient.make(), trustedIssuers([jwt, introspection]));
    const middleware = bearer(scene.verifier, {
      dpop: { mode: 'allowed' },
      baseUrl: BASE_URL,
      onRejection: (error, req) => {
        scene.errors.push(error);
        scene.lines.push(rejectionLine(error, req, issuer.now, scene.token));
      },
    });
    scene.port = await listen(
      serve(middleware, (req, res, next) => {
        scene.gate(req, res, next);
      }),
    );
    return scene;
  }

  /** Sends the request, and checks everything that anybody can read afterwards. */
  async check({ token, fields, path, secrets: given }: Attempt): Promise<void> {
    const basic = Buffer.from(`api:${SECRET}`).toString('base64');
    const signatures = given.flatMap((text) => text.split('.').slice(2));
    const secrets = [...given, ...signatures, SECRET, basic];
    const published: unknown[] = [];
    const receive = (message: unknown): void => void published.push(message);
    for (const name of CHANNELS) subscribe(name, receive);
    this.token = token;
    const response = await getRaw(this.port, fields, { path: `/${path}` });
    for (const name of CHANNELS) unsubscribe(name, receive);

    const views: Record<string, string> = {
      body: response.body,
      ...Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [`header ${name}`, String(value)])),
      'health()': inspect(this.verifier.health(), { depth: 10 }),
      'health() as JSON': JSON.stringify(this.verifier.health()),
    };
    this.lines.splice(0).forEach((line, i) => (views[`debug line ${i}`] = line));
    this.warnings.splice(0).forEach(({ message }, i) => (views[`warning ${i}`] = message));
    const messages = published as { error?: unknown }[];
    for (const error of [...this.errors.splice(0), ...messages.map((message) => message.error)]) {
      if (error instanceof Error) Object.assign(views, viewsOfError(error));
    }
    if (token !== undefined) {
      const { checks } = await this.verifier.explain(token);
      views.explain = renderChecks(checks, (_style, text) => text);
      views['explain as JSON'] = toJson(checks);
    }
    for (const [name, text] of Object.entries(views)) expectSafe(name, text, secrets);
    // One line is one rejection.
    for (const [name, text] of Object.entries(views)) if (name.startsWith('debug')) expect(text).not.toContain('\n');
  }
}

describe('no view contains a token, a signature, a secret, or a control character that a caller chose', () => {
  let scene: Scene;
  const bearerOf = (token: string): string[] => ['Authorization', `Bearer ${token}`];

  it('for JWTs', async () => {
    scene = await Scene.make();
    await fc.assert(
      fc.asyncProperty(
        claims,
        badTimes,
        header,
        hostileBytes,
        fc.boolean(),
        async (some, times, changes, path, isValid) => {
          const { url, audience, key, now } = scene.issuer;
          const usual = { iss: url, aud: audience, sub: 'x', iat: now, exp: now + 300 };
          const full = { alg: 'ES256', kid: key.kid, typ: 'at+jwt', ...(isValid ? {} : changes) };
          const payload = { ...usual, ...some, ...(isValid ? {} : times) };
          const token = await signRaw(JSON.stringify(full), JSON.stringify(payload), key);
          await scene.check({ token, fields: bearerOf(token), path, secrets: [token] });
        },
      ),
      { numRuns: 120 },
    );
  });

  it('for gates', async () => {
    scene = await Scene.make();
    await fc.assert(
      fc.asyncProperty(claims, fc.constantFrom(...GATES), hostileText, async (some, gate, text) => {
        scene.gate = gate;
        const valid = { iss: scene.issuer.url, aud: scene.issuer.audience, typ: undefined, token_use: undefined };
        const details = [{ type: text, [text]: text }];
        const token = await scene.issuer.issue({ ...some, ...valid, authorization_details: details });
        await scene.check({ token, fields: bearerOf(token), path: '', secrets: [token] });
      }),
      { numRuns: 80 },
    );
  });

  it('for opaque tokens, also if the server repeats the token', async () => {
    scene = await Scene.make();
    await fc.assert(
      fc.asyncProperty(claims, badTimes, fc.boolean(), async (some, times, isEchoed) => {
        const token = scene.issuer.issueOpaque({ ...some, ...times });
        scene.issuer.introspection.rewrite = (response, sent) =>
          isEchoed ? { ...response, aud: sent, jti: sent, nested: { access_token: sent } } : response;
        await scene.check({ token, fields: bearerOf(token), path: '', secrets: [token] });
      }),
      { numRuns: 80 },
    );
  });

  it('for DPoP proofs', async () => {
    scene = await Scene.make();
    const token = await scene.issuer.issue({ cnf: scene.client.cnf });
    await fc.assert(
      fc.asyncProperty(proofClaims, proofHeader, async (some, changes) => {
        const proof = await scene.client.prove(token, { claims: some, header: changes, payload: (json) => json });
        const fields = ['Authorization', `DPoP ${token}`, 'DPoP', proof];
        await scene.check({ token, fields, path: '', secrets: [token, proof] });
        const args = ['explain', '--issuer', scene.issuer.url, '--audience', scene.issuer.audience];
        const request = ['--dpop', proof, '--method', 'GET', '--url', `${BASE_URL}/`];
        expectSafe('explain --dpop', await command([...args, ...request], token), [token, proof]);
      }),
      { numRuns: 60 },
    );
  });

  it('for credentials in the wrong place or form', async () => {
    scene = await Scene.make();
    const token = await scene.issuer.issue();
    const place = fc.constantFrom('authorization', 'x-access-token', 'token', 'dpop', 'cookie', 'x-forwarded-host');
    await fc.assert(
      fc.asyncProperty(place, hostileBytes, hostileBytes, async (name, text, path) => {
        const bad = `Bearer ${text}${token}`;
        const query = `${path}?access_token=${token}#${token}`;
        await scene.check({ fields: [name, text], path: query, secrets: [token] });
        await scene.check({ fields: ['Authorization', bad], path, secrets: [token] });
        await scene.check({ fields: ['Authorization', token, name, text], path, secrets: [token] });
      }),
      { numRuns: 60 },
    );
  });
});

describe('the command line shows no signature, no secret, and no control character that others chose', () => {
  it('explain', async () => {
    const issuer = await startIssuer();
    await fc.assert(
      fc.asyncProperty(
        claims,
        header,
        hostileText,
        fc.boolean(),
        fc.boolean(),
        async (some, changes, scope, isJson, isTty) => {
          const full = { alg: 'ES256', kid: issuer.key.kid, ...changes };
          const payload = { iss: issuer.url, aud: issuer.audience, exp: issuer.now + 60, iat: issuer.now, ...some };
          const token = await signRaw(JSON.stringify(full), JSON.stringify(payload), issuer.key);
          const args = ['explain', '--issuer', issuer.url, '--audience', issuer.audience, '--scope', scope];
          const text = await command([...args, ...(isJson ? ['--json'] : [])], token, isTty);
          expectSafe('explain', text, [token, ...token.split('.').slice(1)]);
        },
      ),
      { numRuns: 80 },
    );
  });

  it('doctor', async () => {
    const issuer = await startIssuer();
    issuer.introspection.client = { id: 'api', secret: SECRET };
    const key = fc.dictionary(
      fc.constantFrom('kty', 'kid', 'use', 'alg', 'crv', 'key_ops', 'n', 'FORGED'),
      hostileText,
    );
    const names = ['issuer', 'jwks_uri', 'introspection_endpoint', 'dpop_signing_alg_values_supported'];
    const metadata = fc.dictionary(fc.constantFrom(...names), fc.oneof(hostileText, fc.array(hostileText)), {
      maxKeys: 2,
    });
    await fc.assert(
      fc.asyncProperty(
        metadata,
        fc.array(key, { maxLength: 3 }),
        fc.boolean(),
        fc.boolean(),
        async (some, keys, isJson, isTty) => {
          for (const name of names) Reflect.deleteProperty(issuer.metadata, name);
          Object.assign(issuer.metadata, some);
          issuer.published = [issuer.key.publicJwk, ...keys];
          const args = ['doctor', '--issuer', issuer.url, '--client-id', 'api\u202e\n', '--client-secret-stdin'];
          expectSafe('doctor', await command([...args, ...(isJson ? ['--json'] : [])], SECRET, isTty), [SECRET]);
        },
      ),
      { numRuns: 60 },
    );
  });
});
