import { describe, expect, it } from '@jest/globals';
import {
  createAccessToken,
  type Fetch,
  introspectionVerifier,
  InvalidTokenError,
  type IssuerResolver,
  jwtVerifier,
  memoryStore,
  type TokenVerifier,
  trustedIssuers,
  UpstreamError,
} from '../../lib/index.js';
import { makeSigningKey, type SigningKey } from '../../lib/testing/issuer.js';
import { base64url, cachedResult, startIssuer, verifyAsync } from '../support/helpers.js';
import { movableClock } from '../support/introspection.js';
import { codesOf, recordWarnings } from '../support/warnings.js';

const MAX_IN_USE = 3;

/** Many tenants of one server: `<url>/<name>` has metadata, keys and introspection. It counts the requests. */
async function startTenants(options: { forIntrospection?: boolean; maxIssuers?: number } = {}) {
  const server = await startIssuer();
  const time = movableClock(server.now);
  const requests: string[] = [];
  const respond = (body: unknown): ReturnType<Fetch> =>
    Promise.resolve(new Response(JSON.stringify(body), { headers: { 'Content-Type': 'application/json' } }));
  const published: SigningKey[] = [server.key];
  const servers: Fetch = (url, init) => {
    requests.push(url);
    const [, issuer = ''] = /^(https:\/\/[^/]+)/.exec(url) ?? [];
    if (url.endsWith('/jwks')) return respond({ keys: published.map((key) => key.publicJwk) });
    if (url.endsWith('/introspect')) {
      const token = new URLSearchParams(init.body).get('token') ?? '';
      const [, payload = ''] = token.split('.');
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
      return respond(claims.isValid === true ? { active: true, ...claims } : { active: false });
    }
    return respond({ issuer, jwks_uri: `${issuer}/jwks`, introspection_endpoint: `${issuer}/introspect` });
  };
  const nameOf = (tenant: string): string => `https://${tenant}.example.com`;
  const client = { clientId: 'api', clientSecret: 'secret' };
  const resolve: IssuerResolver = (issuer) => ({
    issuer,
    audience: server.audience,
    fetch: servers,
    clock: time.clock,
    ...(options.forIntrospection === true ? client : {}),
  });
  const { maxIssuers = MAX_IN_USE } = options;
  const verifier = trustedIssuers(resolve, { maxIssuers, maxAge: 86_400, clock: time.clock });
  const issue = (tenant: string, key?: SigningKey): Promise<string> =>
    server.issue({ iss: nameOf(tenant), exp: server.now + 86_400, isValid: key === undefined }, { key });
  const inUse = async (count: number): Promise<string[]> => {
    const tokens = await Promise.all(Array.from({ length: count }, (_, i) => issue(`used-${i}`)));
    await Promise.all(tokens.map((token) => verifyAsync(verifier, token)));
    return tokens;
  };
  return { server, time, requests, published, verifier, issue, inUse };
}

async function statusOf(verifier: TokenVerifier, token: string, remoteAddress?: string): Promise<number | undefined> {
  try {
    await verifier.verify(token, { remoteAddress });
    return 200;
  } catch (error) {
    return (error as UpstreamError | InvalidTokenError).status;
  }
}

it('invalidate deletes the result in a store, also of a tenant that is not in the pool', async () => {
  const { server, time, requests, issue } = await startTenants();
  const isActive = { active: true };
  const store = memoryStore();
  const createProcess = () =>
    trustedIssuers(
      (issuer) => ({
        introspectionEndpoint: `${issuer}/introspect`,
        ...{ issuer, store, audience: server.audience, clientId: 'api', clientSecret: 'secret', clock: time.clock },
        fetch: (url) => {
          requests.push(url);
          return Promise.resolve(new Response(JSON.stringify({ ...isActive, aud: server.audience })));
        },
      }),
      { clock: time.clock },
    );
  const token = await issue('used-0');
  await createProcess().verify(token);
  isActive.active = false;
  await createProcess().invalidate(token);
  await expect(verifyAsync(createProcess(), token)).rejects.toMatchObject({ reason: 'inactive' });
  expect(requests).toHaveLength(2);
});

function unsignedCopy(token: string): string {
  return token.replace(/[^.]*$/, 'AAAA');
}

describe('a flood of forged tokens of other tenants', () => {
  it.each([
    ['one after the other', 1],
    ['20 at a time', 20],
    ['all at the same time', 200],
  ])('evicts no tenant in use and causes few requests: %s', async (_, together) => {
    const { verifier, requests, issue, inUse } = await startTenants();
    const tokens = await inUse(MAX_IN_USE);
    const before = requests.length;
    const stranger = await makeSigningKey();
    for (let sent = 0; sent < 200; sent += together) {
      const forged = await Promise.all(
        Array.from({ length: together }, async (_each, i) => {
          const token = await issue(`other-${sent + i}`, stranger);
          return (sent + i) % 2 === 0 ? token : unsignedCopy(token);
        }),
      );
      const statuses = await Promise.all(forged.map((token) => statusOf(verifier, token)));
      expect(statuses.every((status) => status === 401 || status === 503)).toBe(true);
    }
    expect(tokens.map((token) => cachedResult(verifier, token)?.issuer)).toEqual(
      tokens.map((__, i) => `https://used-${i}.example.com`),
    );
    expect(requests.length - before).toBeLessThanOrEqual(40);
    expect(Object.keys(verifier.health().issuers ?? {}).length).toBeLessThanOrEqual(MAX_IN_USE + 20);
    await verifier.close();
  });

  it('causes few requests per minute for as long as it lasts, and a new tenant is accepted afterwards', async () => {
    const { verifier, requests, issue, time } = await startTenants();
    const stranger = await makeSigningKey();
    for (let minute = 0; minute < 3; minute++) {
      const before = requests.length;
      for (let second = 0; second < 60; second += 2) {
        for (let i = 0; i < 5; i++) await statusOf(verifier, await issue(`other-${minute}-${second}-${i}`, stranger));
        time.now += 2;
      }
      expect(requests.length - before).toBeLessThanOrEqual(minute === 0 ? 64 : 24);
    }
    await expect(verifier.verify(await issue('new', stranger))).rejects.toBeDefined();
    await expect(verifier.verify(await issue('another'))).rejects.toMatchObject({
      status: 503,
      reason: 'keys_unavailable',
      retryAfter: 5,
    });
    time.now += 10;
    await expect(verifier.verify(await issue('another'))).resolves.toBeDefined();
    await verifier.close();
  });

  it('causes few introspection requests', async () => {
    const { verifier, requests, issue, inUse } = await startTenants({ forIntrospection: true });
    const tokens = await inUse(MAX_IN_USE);
    const before = requests.length;
    const stranger = await makeSigningKey();
    for (let i = 0; i < 100; i++) await statusOf(verifier, await issue(`other-${i % 50}`, stranger));
    expect(requests.length - before).toBeLessThanOrEqual(40);
    expect(tokens.every((token) => cachedResult(verifier, token) !== undefined)).toBe(true);
    await verifier.close();
  });

  it('for tenants in use causes few searches for their keys, of all tenants together', async () => {
    const { verifier, requests, issue, inUse } = await startTenants({ maxIssuers: 50 });
    await inUse(50);
    const before = requests.length;
    const stranger = await makeSigningKey();
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 50; i++) await statusOf(verifier, await issue(`used-${i}`, stranger));
    }
    expect(requests.length - before).toBeLessThanOrEqual(40);
    expect(await statusOf(verifier, await issue('used-7'))).toBe(200);
    // New tenants have a budget of their own.
    expect(await statusOf(verifier, await issue('new'))).toBe(200);
    await verifier.close();
  });
});

describe('tenants whose server is down', () => {
  it.each([
    ['JWTs', false],
    ['introspection', true],
  ])('cause one warning each, however often forged tokens name them: %s', async (_, forIntrospection) => {
    const warnings = recordWarnings();
    const time = movableClock();
    const state = { isDown: true };
    const server = await startIssuer();
    const client = forIntrospection ? { clientId: 'api', clientSecret: 'secret' } : {};
    const verifier = trustedIssuers(
      (issuer) => ({
        ...{ issuer, audience: false, clock: time.clock, ...client },
        fetch: (url) => {
          if (state.isDown) return Promise.reject(Object.assign(new Error(), { code: 'ECONNREFUSED' }));
          const { origin } = new URL(url);
          const metadata = {
            issuer: origin,
            jwks_uri: `${origin}/jwks`,
            introspection_endpoint: `${origin}/introspect`,
          };
          return Promise.resolve(new Response(JSON.stringify({ ...metadata, keys: server.published, active: true })));
        },
      }),
      { clock: time.clock },
    );
    const issue = (i: number): Promise<string> =>
      server.issue({ iss: `https://tenant-${i}.example.com`, iat: time.now, exp: time.now + 60 });
    for (let i = 0; i < 240; i++) {
      await statusOf(verifier, await issue(i % 40));
      time.now += 5;
    }
    const reported = warnings.map(({ message }) => /tenant-\d+/.exec(message)?.[0]);
    expect(reported).toHaveLength(new Set(reported).size);
    expect(reported.length).toBeGreaterThan(15);
    state.isDown = false;
    time.now += 60;
    expect(await statusOf(verifier, await issue(0))).toBe(200);
    expect(codesOf(warnings).slice(reported.length)).toEqual(['ERS_UNREACHABLE_RESOLVED']);
    await verifier.close();
  });
});

describe('many tenants that begin at the same time', () => {
  it.each([
    ['JWTs', false],
    ['introspection', true],
  ])('are all accepted: %s', async (_, forIntrospection) => {
    const { verifier, requests, issue } = await startTenants({ forIntrospection, maxIssuers: 100 });
    const tokens = await Promise.all(Array.from({ length: 300 }, (_each, i) => issue(`tenant-${i % 100}`)));
    const statuses = await Promise.all(tokens.map((token) => statusOf(verifier, token)));
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(requests).toHaveLength(forIntrospection ? 400 : 200);
    expect(Object.keys(verifier.health().issuers ?? {})).toHaveLength(100);
    await verifier.close();
  });

  it('are accepted with many first tokens of one tenant', async () => {
    const { verifier, issue } = await startTenants({ forIntrospection: true });
    const tokens = await Promise.all(Array.from({ length: 100 }, () => issue('tenant')));
    const statuses = await Promise.all(tokens.map((token) => statusOf(verifier, token)));
    expect(new Set(statuses)).toEqual(new Set([200]));
    await verifier.close();
  });
});

describe('a new tenant', () => {
  /** Verifiers whose tokens are valid if their subject says so; the test decides when they respond. */
  function ownVerifiers(maxIssuers = 2) {
    const gates = new Map<string, Promise<void>>();
    const resolve: IssuerResolver = (issuer) => ({
      issuer,
      verify: async (token) => {
        await gates.get(issuer);
        const { sub } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sub: string };
        if (sub === 'down') throw new UpstreamError('keys_unavailable', 1);
        if (sub !== 'valid') throw new InvalidTokenError('rejected');
        return createAccessToken({ iss: issuer, sub });
      },
    });
    const time = movableClock();
    const verifier = trustedIssuers(resolve, { maxIssuers, clock: time.clock });
    const send = (iss: string, sub: string): Promise<number | undefined> =>
      statusOf(verifier, `${base64url('{"alg":"ES256"}')}.${base64url(JSON.stringify({ iss, sub }))}.AAAA`);
    const issuers = (): string[] => Object.keys(verifier.health().issuers ?? {});
    return { gates, time, send, issuers };
  }

  it('replaces the tenant in use with the oldest accepted token only after its own first accepted token', async () => {
    const { send, issuers } = ownVerifiers();
    for (const iss of ['a', 'b', 'a']) await send(iss, 'valid');
    await send('c', 'forged');
    expect(issuers()).toEqual(['a', 'b', 'c']);
    await send('c', 'valid');
    expect(issuers().sort()).toEqual(['a', 'c']);
  });

  it('replaces only new tenants, the one that was used least recently', async () => {
    const { send, issuers, time } = ownVerifiers();
    for (const iss of ['a', 'b']) await send(iss, 'valid');
    for (let i = 0; i < 40; i++) {
      expect(await send(`new-${i}`, 'forged')).toBe(401);
      expect(await send('new-0', 'forged')).toBe(401);
      time.now += 5;
    }
    expect(issuers()).toHaveLength(22);
    expect(issuers()).toEqual(expect.arrayContaining(['a', 'b', 'new-0', 'new-39']));
  });

  it('is accepted although others replaced it during its verification', async () => {
    const { gates, send, issuers, time } = ownVerifiers();
    let open = (): void => undefined;
    gates.set(
      'slow',
      new Promise((resolve) => {
        open = resolve;
      }),
    );
    const slow = send('slow', 'valid');
    for (let i = 0; i < 30; i++) {
      await send(`new-${i}`, 'forged');
      time.now += 5;
    }
    expect(issuers()).not.toContain('slow');
    open();
    expect(await slow).toBe(200);
    expect(issuers()).toContain('slow');
  });

  it('whose server is down takes nothing from other new tenants', async () => {
    const { send } = ownVerifiers(50);
    for (let i = 0; i < 100; i++) expect(await send('down', 'down')).toBe(503);
    for (let i = 0; i < 40; i++) expect(await send(`new-${i}`, 'valid')).toBe(200);
  });

  it('whose server hangs delays no other new tenant, however many tokens name it', async () => {
    const { gates, send } = ownVerifiers(50);
    let open = (): void => undefined;
    gates.set(
      'hanging',
      new Promise((resolve) => {
        open = resolve;
      }),
    );
    const hanging = Array.from({ length: 50 }, () => send('hanging', 'valid'));
    for (let i = 0; i < 40; i++) expect(await send(`new-${i}`, 'valid')).toBe(200);
    open();
    expect(new Set(await Promise.all(hanging))).toEqual(new Set([200]));
  });

  it('may return verifiers of every kind', async () => {
    const issuer = await startIssuer();
    for (const create of [
      () => jwtVerifier({ issuer: issuer.url, audience: issuer.audience }),
      () =>
        introspectionVerifier({ issuer: issuer.url, clientId: 'a', clientSecret: 'b', audience: false, cache: false }),
    ]) {
      const own = create();
      const verifier = trustedIssuers(() => own);
      const token = await issuer.issue();
      issuer.issueOpaque({}, token);
      expect(await statusOf(verifier, token)).toBe(200);
      await own.close();
    }
  });
});
