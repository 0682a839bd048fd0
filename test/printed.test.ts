import type { ServerResponse } from 'node:http';
import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import {
  bearer,
  cachedVerifier,
  ConfigurationError,
  createAccessToken,
  introspectionBearer,
  introspectionVerifier,
  type IntrospectionVerifierOptions,
  jwtBearer,
  jwtVerifier,
  type Middleware,
  protectedResourceMetadata,
  requireAuthentication,
  requireAuthorizationDetails,
  requireClaim,
  requireClient,
  requireIssuer,
  requireScopes,
  trustedIssuers,
} from '../lib/index.js';
import { get, listen, serveWithErrorHandler, startIssuer, verifyAsync } from './support/helpers.js';
import { recordWarnings } from './support/warnings.js';

const MARKER = 's3cr3t-marker';
const AUDIENCE = 'https://api.example.com';
const ISSUER = 'https://auth.example.com';

/** Everything that usual ways of logging print of a value. */
function printed(value: unknown): string {
  const nested = value instanceof Error ? [value.message, value.stack, String(value)] : [];
  return [
    inspect(value, { depth: 20, maxStringLength: null, maxArrayLength: null }),
    inspect(value, { depth: 20, getters: true }),
    JSON.stringify(value),
    JSON.stringify(value, Object.getOwnPropertyNames(Object(value))),
    ...nested,
  ].join('\n');
}

/** A server that writes a text made from the request to the connection. */
function listenRaw(respond: (request: string) => string): Promise<number> {
  return listen((req, res) => {
    let request = req.rawHeaders.join(' ');
    req.on('data', (chunk: Buffer) => {
      request += chunk.toString();
    });
    req.on('end', () => res.socket?.end(respond(request)));
  });
}

async function failureOf(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing failed');
}

describe('an error about a token', () => {
  it.each<[string, Record<string, unknown>]>([
    ['issuer', { iss: `https://${MARKER}.example.com` }],
    ['audience', { aud: MARKER }],
    ['required claims', { sub: { [MARKER]: MARKER } }],
    ['kind', { token_use: 'id', nonce: MARKER }],
    ['binding', { cnf: { jkt: MARKER } }],
  ])('prints no claim value: %s', async (_, claims) => {
    const issuer = await startIssuer();
    const { app, errors } = serveWithErrorHandler(
      jwtBearer({ issuer: issuer.url, audience: issuer.audience, errors: 'next', requiredClaims: ['sub'] }),
    );
    const token = await issuer.issue(claims);
    await get(app, token);
    expect(errors).toHaveLength(1);
    expect(printed(errors[0])).not.toContain(MARKER);
    for (const part of token.split('.')) expect(printed(errors[0])).not.toContain(part);
  });

  it.each<[string, Middleware]>([
    ['requireScopes', requireScopes('orders:read')],
    ['requireClaim', requireClaim('tenant', 'a')],
    ['requireClient', requireClient('shop')],
    ['requireIssuer', requireIssuer('https://other.example.com')],
    ['requireAuthentication', requireAuthentication({ acrValues: ['gold'] })],
    ['requireAuthorizationDetails', requireAuthorizationDetails('payment')],
  ])('of a gate prints no claim value: %s', async (_, gate) => {
    const issuer = await startIssuer();
    const authenticate = jwtBearer({ issuer: issuer.url, audience: issuer.audience, errors: 'next' });
    const { app, errors } = serveWithErrorHandler(authenticate, gate);
    const claims = {
      ...{ scope: MARKER, tenant: MARKER, client_id: MARKER, sub: MARKER, acr: MARKER },
      authorization_details: [{ type: MARKER }],
    };
    await get(app, await issuer.issue(claims));
    expect(errors).toHaveLength(1);
    expect(printed(errors[0])).not.toContain(MARKER);
  });

  it('has the values of the failed check for code', async () => {
    const verifier = jwtVerifier({ issuer: ISSUER, audience: AUDIENCE, secret: 'x'.repeat(32) });
    const issuer = await startIssuer();
    const error = (await failureOf(async () => verifyAsync(verifier, await issuer.issue()))) as Error;
    const cause = error.cause as Record<string, unknown>;
    expect([cause.checked, cause.expected, cause.found].every((each) => each !== undefined)).toBe(true);
    expect(Object.keys(cause)).toEqual(['checked']);
  });

  it('prints no byte of a payload that is not JSON', async () => {
    const verifier = jwtVerifier({ issuer: ISSUER, audience: AUDIENCE, secret: 'x'.repeat(32) });
    const part = (text: string): string => Buffer.from(text).toString('base64url');
    for (const payload of [MARKER, `{"a":"${MARKER}"`, `["${MARKER}"]`]) {
      const token = `${part('{"alg":"HS256"}')}.${part(payload)}.AAAA`;
      const error = await failureOf(() => verifyAsync(verifier, token));
      expect(printed(error)).not.toContain(MARKER);
      expect(printed(error)).not.toContain(part(payload));
    }
  });
});

describe('an error about the authorization server', () => {
  /** Whatever it receives, it sends back in this place. */
  const ECHOES: [string, (text: string) => string][] = [
    ['the body of 200', (text) => `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n${text}`],
    ['JSON of 200', (text) => `HTTP/1.1 200 OK\r\n\r\n${JSON.stringify({ active: text })}`],
    ['the error of 400', (text) => `HTTP/1.1 400 Bad\r\n\r\n${JSON.stringify({ error: text.slice(0, 9_000) })}`],
    ['a Location', (text) => `HTTP/1.1 302 Found\r\nLocation: https://x.example/?${encodeURIComponent(text)}\r\n\r\n`],
    ['the reason phrase', (text) => `HTTP/1.1 503 ${text.replaceAll(/[\r\n]/g, ' ')}\r\n\r\n`],
    ['Retry-After', (text) => `HTTP/1.1 429 Slow\r\nRetry-After: ${text.replaceAll(/[\r\n]/g, ' ')}\r\n\r\n`],
    ['a header that is no header', (text) => `HTTP/1.1 200 OK\r\n${text.replaceAll(':', '')}\r\n\r\n`],
    ['no HTTP at all', (text) => `${text}\r\n\r\n`],
    ['a broken chunk', (text) => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${text}\r\n`],
    ['a wrong length', (text) => `HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n${text}`],
    ['gzip that is none', (text) => `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n${text}`],
  ];

  it.each(ECHOES)('that echoes our request prints no token and no secret: %s', async (_, respond) => {
    const port = await listenRaw(respond);
    const makings: Partial<IntrospectionVerifierOptions>[] = [
      { clientId: 'api', clientSecret: MARKER, clientAuthentication: 'client_secret_post' },
      { clientId: 'api', clientSecret: MARKER },
      { clientAuthentication: { bearerToken: () => MARKER } },
    ];
    for (const options of makings) {
      const introspectionEndpoint = `http://127.0.0.1:${port}/introspect`;
      // In Node 20, a body that cannot be decompressed only ends with the timeout.
      const verifier = introspectionVerifier({ introspectionEndpoint, audience: false, timeout: 0.5, ...options });
      const error = await failureOf(() => verifyAsync(verifier, `token-${MARKER}`));
      expect(error).toMatchObject({ status: 503 });
      expect(printed(error)).not.toContain(MARKER);
      expect(printed(error)).not.toContain(Buffer.from(`api:${MARKER}`).toString('base64'));
      await verifier.close();
    }
  });

  it('prints no query and no password of an address', async () => {
    const metadataUrl = `http://127.0.0.1:${await listen((_req, res) => res.end('{"issuer":"x"}'))}/m?key=${MARKER}`;
    const verifier = jwtVerifier({ issuer: ISSUER, audience: AUDIENCE, metadataUrl });
    expect(printed(await failureOf(() => verifier.ready()))).not.toContain(MARKER);
    await verifier.close();
  });

  it.each([
    ['that responds 404', (res: ServerResponse) => res.writeHead(404).end()],
    ['that does not have JSON', (res: ServerResponse) => res.end('x')],
    ['that is not a JWKS', (res: ServerResponse) => res.end('{}')],
    ['without a usable key', (res: ServerResponse) => res.end('{"keys":[{"kty":"RSA"}]}')],
    ['without a response', (res: ServerResponse) => res.destroy()],
  ])('prints only the origin of an address in the metadata: one %s', async (_, respond) => {
    const port = await listen((req, res) => {
      if (req.url?.includes(MARKER) === true) {
        respond(res);
        return;
      }
      const address = `${url}/${MARKER}?${MARKER}`;
      res.end(JSON.stringify({ issuer: url, jwks_uri: address, introspection_endpoint: address }));
    });
    const url = `http://127.0.0.1:${port}`;
    const warnings = recordWarnings();
    const jwt = jwtVerifier({ issuer: url, audience: AUDIENCE });
    const opaque = introspectionVerifier({ issuer: url, audience: AUDIENCE, clientId: 'a', clientSecret: 'b' });
    const errors = [await failureOf(() => jwt.ready()), await failureOf(() => verifyAsync(opaque, 'token'))];
    const text = [...errors, jwt.health(), opaque.health(), warnings].map(printed).join();
    expect(text).toContain(`${url} (jwks_uri of the metadata)`);
    expect(text).not.toContain(MARKER);
    await Promise.all([jwt.close(), opaque.close()]);
  });

  it('prints at most 200 characters of the issuer in the metadata, without control characters', async () => {
    const name = `https://\u001b[31m\n\u2028${'x'.repeat(500_000)}`;
    const metadataUrl = `http://127.0.0.1:${await listen((_req, res) => res.end(JSON.stringify({ issuer: name })))}/m`;
    const verifier = jwtVerifier({ issuer: ISSUER, audience: AUDIENCE, metadataUrl });
    const text = printed(await failureOf(() => verifier.ready()));
    expect(text.length).toBeLessThan(30_000);
    for (const hidden of ['\u001b', '\u2028', 'x'.repeat(201)]) expect(text).not.toContain(hidden);
    await verifier.close();
  });
});

describe('a mistake in the options', () => {
  const bad: [string, () => unknown][] = [
    [
      'an issuer with a password',
      () => jwtBearer({ issuer: `https://user:${MARKER}@auth.example.com`, audience: 'a' }),
    ],
    [
      'an issuer whose password contains a slash',
      () => jwtBearer({ issuer: `https://user:a/${MARKER}/b@auth.example.com`, audience: 'a' }),
    ],
    [
      'an issuer whose password contains ? and #',
      () => jwtBearer({ issuer: `https://user:?${MARKER}#@auth.example.com`, audience: 'a' }),
    ],
    ['an issuer without a scheme', () => jwtBearer({ issuer: `user:${MARKER}@auth.example.com`, audience: 'a' })],
    ['an issuer that begins with //', () => jwtBearer({ issuer: `//user:${MARKER}@auth.example.com`, audience: 'a' })],
    [
      'an issuer with a line break in its password',
      () => jwtBearer({ issuer: `https://user:${MARKER}\n@auth.example.com`, audience: 'a' }),
    ],
    [
      'a jwksUri with a password',
      () => jwtBearer({ issuer: ISSUER, audience: 'a', jwksUri: `http://user:${MARKER}/x@auth.example.com` }),
    ],
    ['a short secret', () => jwtBearer({ issuer: ISSUER, audience: 'a', secret: MARKER })],
    ['a private key as publicKey', () => jwtBearer({ issuer: ISSUER, audience: 'a', publicKey: MARKER })],
    [
      'clientAuthentication',
      () =>
        introspectionBearer({ issuer: ISSUER, audience: 'a', clientAuthentication: { bearerToken: MARKER } as never }),
    ],
    ['a secret in place of the options', () => jwtBearer(MARKER as never)],
    ['a token in place of claims', () => createAccessToken(MARKER as never)],
    [
      'a nonce secret',
      () => bearer(jwtVerifier({ issuer: ISSUER, audience: 'a' }), { dpop: { secret: MARKER } } as never),
    ],
  ];

  it.each(bad)('prints no secret: %s', async (_, make) => {
    const error = await failureOf(make);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(printed(error)).not.toContain(MARKER);
  });

  it('prints no token that an own verifier returns in place of a result', async () => {
    const inner = { verify: (token: string) => Promise.resolve(token as never) };
    const { app, errors } = serveWithErrorHandler(bearer(inner));
    await get(app, MARKER);
    errors.push(await failureOf(() => verifyAsync(cachedVerifier(inner), MARKER)));
    expect(errors).toHaveLength(2);
    for (const error of errors) expect(printed(error)).not.toContain(MARKER);
  });
});

it('verifiers and middlewares print no secret and no token', async () => {
  const issuer = await startIssuer();
  const token = issuer.issueOpaque({ sub: MARKER });
  const options = { issuer: issuer.url, audience: issuer.audience, clientId: 'api', clientSecret: MARKER };
  const introspection = introspectionVerifier(options);
  await introspection.verify(token);
  const jwt = jwtVerifier({ issuer: issuer.url, audience: issuer.audience, secret: MARKER.repeat(4) });
  const middleware = introspectionBearer({
    ...options,
    dpop: { mode: 'allowed', nonce: true, secret: MARKER.repeat(4) },
  });
  const all: unknown[] = [
    introspection,
    jwt,
    cachedVerifier(introspection),
    trustedIssuers([introspection]),
    middleware,
    jwtBearer({ issuer: issuer.url, audience: issuer.audience, secret: MARKER.repeat(4) }),
    protectedResourceMetadata({ resource: AUDIENCE, bearer: middleware }),
    requireClient(MARKER),
    introspection.health(),
  ];
  for (const each of all) {
    expect(printed(each)).not.toContain(MARKER);
    expect(printed(each)).not.toContain(token);
  }
});
