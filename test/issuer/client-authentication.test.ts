import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { type CryptoKey, exportJWK, exportPKCS8, generateKeyPair, type JWK, jwtVerify } from 'jose';
import { ConfigurationError, type IntrospectionVerifierOptions } from '../../lib/index.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import { credentialsOf } from '../../lib/testing/introspection.js';
import { startIssuer, verifyAsync } from '../support/helpers.js';
import { movableClock, SECRET, verifierFor } from '../support/introspection.js';
import { recordWarnings } from '../support/warnings.js';
import { simulateTime, untilDeadline } from '../support/time.js';

/** Introspects one token and returns the request that the endpoint received. */
async function introspect(issuer: TestIssuer, options: Partial<IntrospectionVerifierOptions>) {
  await verifierFor(issuer, options).verify(issuer.issueOpaque());
  const seen = issuer.introspection.seen.at(-1);
  if (seen === undefined) throw new Error('no introspection request');
  return seen;
}

const HOSTILE = [
  { id: 'api', secret: 'plain' },
  { id: 'https://api.example.com:8443/', secret: 'with:colons:in:it' },
  { id: 'a+b c%20d', secret: '100% + more & more = all' },
  { id: 'büro', secret: 'pässwörd-東京-🔑' },
  { id: '%3A', secret: '%2B%' },
  { id: 'a~b*c!(d)\'"', secret: '\\/?#[]@!$&\'()*+,;="<>^`{|}' },
  { id: ' ', secret: '\ttab and\nnewline' },
];

describe('client_secret_basic', () => {
  it.each(HOSTILE)('transmits $id and $secret unchanged', async ({ id, secret }) => {
    const issuer = await startIssuer();
    issuer.introspection.client = { id, secret };
    const { headers, form } = await introspect(issuer, { clientId: id, clientSecret: secret });
    expect(credentialsOf({ method: 'POST', headers, form: {} })).toEqual({ id, secret });
    expect(Object.keys(form)).toEqual(['token', 'token_type_hint']);
  });

  it('form-encodes id and secret before base64', async () => {
    const issuer = await startIssuer();
    const { headers } = await introspect(issuer, { clientId: 'a:b c', clientSecret: 'd+e%f:ü' });
    const [scheme, encoded = ''] = (headers.authorization ?? '').split(' ');
    expect(scheme).toBe('Basic');
    expect(Buffer.from(encoded, 'base64').toString()).toBe('a%3Ab+c:d%2Be%25f%3A%C3%BC');
  });
});

describe('client_secret_post', () => {
  it.each(HOSTILE)('transmits $id and $secret unchanged', async ({ id, secret }) => {
    const issuer = await startIssuer();
    const options = { clientId: id, clientSecret: secret, clientAuthentication: 'client_secret_post' } as const;
    const { headers, form } = await introspect(issuer, options);
    expect(form).toMatchObject({ client_id: id, client_secret: secret });
    expect(headers.authorization).toBeUndefined();
  });
});

describe('private_key_jwt', () => {
  const algorithm = 'ES256';

  async function makeKeys(): Promise<{ publicKey: CryptoKey; forms: [string, JWK | string | CryptoKey][] }> {
    const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
    const jwk = { ...(await exportJWK(privateKey)), kid: 'api-key-1' };
    return {
      publicKey,
      forms: [
        ['JWK', jwk],
        ['PEM', await exportPKCS8(privateKey)],
        ['CryptoKey', privateKey],
      ],
    };
  }

  it('signs an assertion with a private key of each supported format', async () => {
    const issuer = await startIssuer();
    const { publicKey, forms } = await makeKeys();
    for (const [form, privateKey] of forms) {
      const seen = await introspect(issuer, { clientAuthentication: { privateKey, algorithm } });
      expect(seen.headers.authorization).toBeUndefined();
      expect(seen.form).toMatchObject({
        client_id: 'api',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      });
      expect(seen.form).not.toHaveProperty('client_secret');
      const rules = { issuer: 'api', subject: 'api', audience: issuer.url, algorithms: [algorithm] };
      const { payload, protectedHeader } = await jwtVerify(seen.form.client_assertion ?? '', publicKey, rules);
      expect(protectedHeader).toEqual({ alg: algorithm, ...(form === 'JWK' ? { kid: 'api-key-1' } : {}) });
      expect(Number(payload.exp) - Number(payload.iat)).toBeLessThanOrEqual(60);
      expect(payload.jti).toMatch(/^.{16,}$/);
    }
  });

  it('signs a new assertion for each request, with the time of the option clock', async () => {
    const issuer = await startIssuer();
    const { publicKey, forms } = await makeKeys();
    const privateKey = forms[0]?.[1] ?? '';
    const time = movableClock(issuer.now);
    const verifier = verifierFor(issuer, { clientAuthentication: { privateKey, algorithm }, clock: time.clock });
    await verifier.verify(issuer.issueOpaque());
    time.now += 30;
    await verifier.verify(issuer.issueOpaque());
    const payloads = await Promise.all(
      issuer.introspection.seen.map(async ({ form }) => {
        return (await jwtVerify(form.client_assertion ?? '', publicKey)).payload;
      }),
    );
    expect(new Set(payloads.map(({ jti }) => jti)).size).toBe(2);
    expect(payloads.map(({ iat }) => iat)).toEqual([time.now - 30, time.now]);
  });

  it('has the endpoint as its audience if no issuer is configured', async () => {
    const issuer = await startIssuer();
    const { publicKey, forms } = await makeKeys();
    const clientAuthentication = { privateKey: forms[0]?.[1] ?? '', algorithm };
    const { introspectionEndpoint } = issuer;
    const seen = await introspect(issuer, { clientAuthentication, introspectionEndpoint, issuer: undefined });
    const audience = introspectionEndpoint;
    await expect(jwtVerify(seen.form.client_assertion ?? '', publicKey, { audience })).resolves.toBeDefined();
  });

  it.each<[string, JWK | string]>([
    ['text that is not PEM', 'not a key'],
    ['a JWK with invalid coordinates', { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', d: 'AA' }],
    ['a symmetric JWK', { kty: 'oct', k: 'AAAA' }],
  ])('rejects %s as a private key', async (_, privateKey) => {
    const issuer = await startIssuer();
    expect(() => verifierFor(issuer, { clientAuthentication: { privateKey, algorithm } })).toThrow(ConfigurationError);
  });
});

describe('tls_client_auth', () => {
  it('sends the client id and leaves the TLS certificate to fetch', async () => {
    const issuer = await startIssuer();
    const urls: string[] = [];
    const seen = await introspect(issuer, {
      clientAuthentication: 'tls_client_auth',
      fetch: (url, init) => {
        urls.push(url);
        return fetch(url, init);
      },
    });
    expect(seen.form).toEqual({ token: expect.any(String), token_type_hint: 'access_token', client_id: 'api' });
    expect(seen.headers.authorization).toBeUndefined();
    expect(urls.at(-1)).toBe(issuer.introspectionEndpoint);
  });
});

describe('a bearer token for the introspection endpoint', () => {
  it('is requested from the function for each introspection', async () => {
    const issuer = await startIssuer();
    let calls = 0;
    const bearerToken = () => Promise.resolve(`api-token-${++calls}`);
    const verifier = verifierFor(issuer, { clientAuthentication: { bearerToken } });
    await verifier.verify(issuer.issueOpaque());
    await verifier.verify(issuer.issueOpaque());
    const sent = issuer.introspection.seen.map(({ headers }) => headers.authorization);
    expect(sent).toEqual(['Bearer api-token-1', 'Bearer api-token-2']);
  });

  it.each([
    ['nothing', undefined],
    ['an empty string', ''],
    ['a number', 5],
    ['a line break inside', 'hush\nhush'],
    ['a control character', 'hush\u0001'],
    ['characters outside Latin-1', 'hush-秘密'],
  ])('with %s causes 503 and appears in no error', async (_, value) => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer, { clientAuthentication: { bearerToken: () => value as string } });
    const error: unknown = await verifyAsync(verifier, issuer.issueOpaque()).catch((each: unknown) => each);
    expect(error).toMatchObject({ status: 503, reason: 'introspection_unavailable' });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('hush');
    expect(issuer.requests.introspection).toBe(0);
  });

  it('that is unavailable does not count as an outage of the authorization server', async () => {
    const issuer = await startIssuer();
    let value = 'hush\nhush';
    const verifier = verifierFor(issuer, { clientAuthentication: { bearerToken: () => value } });
    await expect(verifier.verify(issuer.issueOpaque())).rejects.toMatchObject({ status: 503 });
    value = 'good';
    await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
  });
});

describe('a secret that rotates', () => {
  /** A server and an API that agree on a secret until the server changes it. */
  async function rotating() {
    const issuer = await startIssuer();
    const time = movableClock(issuer.now);
    const state = { calls: 0, secret: 'first' };
    issuer.introspection.client = { id: 'api', secret: 'first' };
    const rotate = (): void => {
      state.secret = 'second';
      issuer.introspection.client = { id: 'api', secret: 'second' };
    };
    const clientSecret = (): string => {
      state.calls++;
      return state.secret;
    };
    const verifier = verifierFor(issuer, { clientSecret, clock: time.clock });
    return { issuer, time, state, rotate, verifier };
  }

  it('is requested from the function once while it works', async () => {
    const { issuer, state, verifier } = await rotating();
    for (let i = 0; i < 5; i++) await verifier.verify(issuer.issueOpaque());
    expect(state.calls).toBe(1);
  });

  it.each([400, 401, 403])(
    'is requested again when the server responds %d, and the caller gets a result',
    async (status) => {
      const { issuer, time, state, rotate, verifier } = await rotating();
      issuer.introspection.rejectionStatus = status;
      await verifier.verify(issuer.issueOpaque());
      rotate();
      time.now += 5;
      await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
      expect(state.calls).toBe(2);
      expect(issuer.requests.introspection).toBe(3);
      await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
      expect(state.calls).toBe(2);
    },
  );

  it('is requested once for all concurrent callers, and all of them get a result', async () => {
    const { issuer, time, state, rotate, verifier } = await rotating();
    await verifier.verify(issuer.issueOpaque());
    rotate();
    time.now += 5;
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => verifyAsync(verifier, issuer.issueOpaque())),
    );
    expect(results.filter(({ status }) => status === 'rejected')).toEqual([]);
    expect(state.calls).toBe(2);
  });

  it('is not requested again for each caller whose token the server rejects in this way', async () => {
    const { issuer, time, state, verifier } = await rotating();
    await verifier.verify(issuer.issueOpaque());
    issuer.introspection.failFor('forged', (res) => res.writeHead(400).end());
    const forged = () => expect(verifier.verify('forged')).rejects.toMatchObject({ status: 503 });
    for (let i = 0; i < 10; i++) await forged();
    expect(state.calls).toBe(1);
    time.now += 5;
    for (let i = 0; i < 10; i++) await forged();
    expect(state.calls).toBe(2);
    await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
  });

  it('that is still wrong causes 503 after one retry, without a cached result', async () => {
    const { issuer, time, state, verifier } = await rotating();
    issuer.introspection.client = { id: 'api', secret: 'unknown to the API' };
    const token = issuer.issueOpaque();
    await expect(verifier.verify(token)).rejects.toMatchObject({ status: 503, reason: 'introspection_unavailable' });
    time.now += 5;
    const before = issuer.requests.introspection;
    await expect(verifier.verify(token)).rejects.toMatchObject({ status: 503 });
    expect(issuer.requests.introspection - before).toBe(2);
    state.secret = 'unknown to the API';
    time.now += 5;
    await expect(verifier.verify(token)).resolves.toBeDefined();
  });

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('the vault is sealed');
      },
    ],
    ['rejects', () => Promise.reject(new Error('the vault is sealed'))],
    ['returns nothing', () => undefined],
    ['returns an empty string', () => ''],
    ['returns an object', () => ({ secret: 's' })],
  ])('from a function that %s causes 503 until the function returns a secret', async (_, failing) => {
    const issuer = await startIssuer();
    let clientSecret = failing as () => string;
    const time = movableClock(issuer.now);
    const verifier = verifierFor(issuer, { clock: time.clock, clientSecret: () => clientSecret() });
    await expect(verifier.verify(issuer.issueOpaque())).rejects.toMatchObject({ status: 503 });
    expect(issuer.requests.introspection).toBe(0);
    clientSecret = () => SECRET;
    time.now += 1;
    await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
  });
});

it('a secret from a function that ends in a line break causes one warning', async () => {
  const issuer = await startIssuer();
  const warnings = recordWarnings();
  const verifier = verifierFor(issuer, { clientSecret: () => `${SECRET}\n` });
  for (let i = 0; i < 2; i++) await verifyAsync(verifier, issuer.issueOpaque()).catch(() => undefined);
  const suspicious = warnings.filter(({ code }) => code === 'ERS_SUSPICIOUS_OPTION');
  expect(suspicious).toEqual([{ code: expect.any(String), message: expect.stringContaining('white space around it') }]);
  expect(JSON.stringify(warnings)).not.toContain(SECRET);
});

describe('an error of the function that returns the secret', () => {
  it.each<[string, () => unknown]>([
    ['an error', () => new Error(`the vault returned ${SECRET}`)],
    ['an error with a cause', () => new Error('the vault', { cause: new Error(SECRET) })],
    ['a text', () => SECRET],
  ])('is named in every output, and its message in none: %s', async (_, makeError) => {
    const issuer = await startIssuer();
    const clientSecret = async (): Promise<string> => {
      await Promise.resolve();
      throw makeError();
    };
    const verifier = verifierFor(issuer, { clientSecret });
    const token = issuer.issueOpaque();
    const error: unknown = await verifyAsync(verifier, token).catch((each: unknown) => each);
    const { checks } = await verifier.explain(token);
    const explained = checks.map(({ fix }) => fix).join();
    for (const text of [inspect(error), explained]) {
      expect(text).toContain('clientSecret failed (Error)');
      expect(text).not.toContain(SECRET);
    }
    expect(explained).toContain('Check the function that returns the secret');
    expect(JSON.stringify([error, verifier.health()])).not.toContain(SECRET);
  });
});

describe('a function of the application that never settles', () => {
  simulateTime();

  it.each<[string, (secretFunction: () => Promise<string>) => Partial<IntrospectionVerifierOptions>]>([
    ['clientSecret', (clientSecret) => ({ clientSecret })],
    ['bearerToken', (bearerToken) => ({ clientAuthentication: { bearerToken } })],
  ])('is stopped by the timeout and called again later: %s', async (_, options) => {
    const issuer = await startIssuer();
    let secretFunction = (): Promise<string> => new Promise(() => undefined);
    const verifier = verifierFor(issuer, { timeout: 2, ...options(() => secretFunction()) });
    const token = issuer.issueOpaque();
    await expect(untilDeadline(verifyAsync(verifier, token))).rejects.toMatchObject({ status: 503 });
    secretFunction = () => Promise.resolve('back');
    await expect(untilDeadline(verifyAsync(verifier, token))).resolves.toBeDefined();
  });
});

describe('a secret', () => {
  it.each<[string, Partial<IntrospectionVerifierOptions>]>([
    ['client_secret_basic', { clientSecret: SECRET }],
    ['client_secret_post', { clientSecret: SECRET, clientAuthentication: 'client_secret_post' }],
    ['a function', { clientSecret: () => SECRET }],
    ['a bearer token', { clientAuthentication: { bearerToken: () => SECRET.replaceAll(' ', '-') } }],
  ])('appears in neither the verifier nor an error: %s', async (_, options) => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer, options);
    const things: unknown[] = [verifier];
    const faults = ['error', 'html', 'redirect', 'hangup', 'missing'] as const;
    for (const fault of faults) {
      issuer.fail('introspection', fault);
      things.push(await verifyAsync(verifierFor(issuer, options), 'some-token').catch((each: unknown) => each));
    }
    issuer.heal();
    issuer.introspection.client = { id: 'api', secret: 'another' };
    things.push(await verifyAsync(verifier, 'some-token').catch((each: unknown) => each));
    await issuer.goDown();
    things.push(await verifyAsync(verifier, 'some-token').catch((each: unknown) => each));
    for (const thing of things) {
      const shown = inspect(thing, { depth: 20, showHidden: true }) + JSON.stringify(thing) + String(thing);
      for (const secret of forms(SECRET)) expect(shown).not.toContain(secret);
      expect(shown).not.toContain('some-token');
    }
  });
});

function forms(secret: string): string[] {
  const encoded = new URLSearchParams({ '': secret }).toString().slice(1);
  const basic = Buffer.from(`api:${encoded}`).toString('base64');
  return [secret, encoded, secret.replaceAll(' ', '-'), basic];
}

describe('a clientSecret function that fails', () => {
  it('is called once per pause, and not once per token', async () => {
    const issuer = await startIssuer();
    const time = movableClock(issuer.now);
    let calls = 0;
    let current = (): Promise<string> => Promise.reject(new Error('the secret store is down'));
    const clientSecret = (): Promise<string> => {
      calls++;
      return current();
    };
    const verifier = verifierFor(issuer, { clock: time.clock, clientSecret });
    const failures = (): Promise<unknown[]> =>
      Promise.all(
        Array.from({ length: 20 }, () => verifyAsync(verifier, issuer.issueOpaque()).catch((each: unknown) => each)),
      );
    for (const pause of [1, 2, 4]) {
      calls = 0;
      for (const error of [...(await failures()), ...(await failures())]) {
        expect(error).toMatchObject({ status: 503, reason: 'introspection_unavailable', retryAfter: pause });
        expect(error).toMatchObject({ cause: { message: 'the secret store is down' } });
      }
      expect(calls).toBe(1);
      time.now += pause;
    }
    current = () => Promise.resolve(SECRET);
    await expect(verifyAsync(verifier, issuer.issueOpaque())).resolves.toMatchObject({ format: 'opaque' });
    expect(issuer.requests.introspection).toBe(1);
  });
});
