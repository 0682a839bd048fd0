import { expect, it } from '@jest/globals';
import { type IntrospectionVerifierOptions, redisStore } from '../../lib/index.js';
import { get, startIssuer, verifyAsync } from '../support/helpers.js';
import { apiFor, movableClock, verifierFor } from '../support/introspection.js';
import { describeWithRedis, makeClient } from '../support/redis-server.js';
import { codesOf, recordWarnings } from '../support/warnings.js';

describeWithRedis('opaque tokens with a real Redis server', (redis) => {
  /** Several processes: each verifier has its own cache, and all share Redis. */
  async function setUpProcesses(options: Partial<IntrospectionVerifierOptions> = {}) {
    const issuer = await startIssuer();
    const time = movableClock(issuer.now);
    const store = redisStore(redis.client, { timeout: 5 });
    const createVerifier = () => verifierFor(issuer, { store, clock: time.clock, ...options });
    return { issuer, time, createVerifier };
  }

  it('are introspected once, and a process that starts later uses the cached result', async () => {
    const { issuer, createVerifier } = await setUpProcesses();
    const token = issuer.issueOpaque({ scope: 'a', name: 'größe-東京-🔑', id: 9_007_199_254_740_991 });
    const first = await createVerifier().verify(token);
    await expect(createVerifier().verify(token)).resolves.toEqual(first);
    await expect(createVerifier().verify('garbage')).rejects.toMatchObject({ reason: 'inactive' });
    await expect(createVerifier().verify('garbage')).rejects.toMatchObject({ reason: 'inactive' });
    expect(issuer.requests.introspection).toBe(2);
  });

  it('are introspected once by twenty processes at the same time', async () => {
    const { issuer, createVerifier } = await setUpProcesses();
    const tokens = Array.from({ length: 5 }, () => issuer.issueOpaque());
    const verifiers = Array.from({ length: 20 }, createVerifier);
    await Promise.all(verifiers.flatMap((verifier) => tokens.map((token) => verifyAsync(verifier, token))));
    expect(issuer.requests.introspection).toBe(5);
  });

  it('are not stored in Redis, only their digests, and every entry expires', async () => {
    const { issuer, createVerifier } = await setUpProcesses();
    const token = issuer.issueOpaque();
    await createVerifier().verify(token);
    await verifyAsync(createVerifier(), 'garbage').catch(() => undefined);
    await createVerifier().invalidate('invalidated-token');
    const keys = await redis.client.keys('*');
    expect(keys.length).toBeGreaterThanOrEqual(2);
    for (const key of keys) {
      expect(key).toMatch(/^express-resource-server:introspection:[\w-]{22}:[\w-]{43}(?::invalidated)?$/);
      expect(await redis.client.pTTL(key)).toBeGreaterThan(0);
      expect(await redis.client.pTTL(key)).toBeLessThanOrEqual(60_000);
      const value = (await redis.client.get(key)) ?? '';
      for (const secret of [token, 'garbage', 'invalidated-token', 'battery']) {
        expect([key.includes(secret), value.includes(secret)]).toEqual([false, false]);
      }
    }
  });

  it('are cached in Redis no longer than they are valid', async () => {
    const { issuer, createVerifier } = await setUpProcesses();
    await createVerifier().verify(issuer.issueOpaque({ exp: issuer.now + 7 }));
    const [key = ''] = await redis.client.keys('*');
    expect(await redis.client.pTTL(key)).toBeLessThanOrEqual(7_000);
  });

  it('are removed everywhere within 5 seconds of invalidate', async () => {
    const { issuer, time, createVerifier } = await setUpProcesses();
    const [here, there] = [createVerifier(), createVerifier()];
    const token = issuer.issueOpaque();
    await Promise.all([here.verify(token), there.verify(token)]);
    issuer.revoke(token);
    await here.invalidate(token);
    await expect(here.verify(token)).rejects.toMatchObject({ reason: 'inactive' });
    time.now += 5;
    await expect(there.verify(token)).rejects.toMatchObject({ reason: 'inactive' });
    await expect(createVerifier().verify(token)).rejects.toMatchObject({ reason: 'inactive' });
  });

  it('are verified despite invalid entries in Redis, which are overwritten', async () => {
    const { issuer, createVerifier } = await setUpProcesses();
    const token = issuer.issueOpaque();
    await createVerifier().verify(token);
    const [key = ''] = await redis.client.keys('*');
    for (const junk of [
      '',
      '{',
      '[]',
      'null',
      '"text"',
      '{"version":1}',
      '{"version":1,"response":{"active":"true"}}',
    ]) {
      await redis.client.set(key, junk);
      const before = issuer.requests.introspection;
      await expect(createVerifier().verify(token)).resolves.toBeDefined();
      await expect(createVerifier().verify(token)).resolves.toBeDefined();
      expect(issuer.requests.introspection).toBe(before + 1);
    }
  });

  it('are still verified while Redis is down, and shared again when it is back', async () => {
    const issuer = await startIssuer();
    const time = movableClock(issuer.now);
    const store = redisStore(redis.client);
    const options = { store, clock: time.clock, cache: { maxAge: 1 } };
    const app = apiFor(issuer, options);
    const tokens = Array.from({ length: 10 }, () => issuer.issueOpaque());
    const flow = async (): Promise<number[]> => {
      time.now += 1;
      return Promise.all(tokens.map(async (token) => (await get(app, token)).status));
    };
    const all200 = tokens.map(() => 200);
    expect(await flow()).toEqual(all200);

    const during = flow();
    await redis.server.stop();
    expect(await during).toEqual(all200);
    for (let i = 0; i < 5; i++) expect(await flow()).toEqual(all200);
    await expect(apiVerifier().invalidate('token')).rejects.toThrow();

    const isBack = new Promise((resolve) => redis.client.once('ready', resolve));
    await redis.server.start();
    await isBack;
    time.now += 31;
    expect(await flow()).toEqual(all200);
    expect(await redis.client.dbSize()).toBe(10);
    const before = issuer.requests.introspection;
    await Promise.all(tokens.map((token) => verifyAsync(apiVerifier(), token)));
    expect(issuer.requests.introspection).toBe(before);

    function apiVerifier() {
      return verifierFor(issuer, options);
    }
  });

  it.each<[string, string[], string[]]>([
    ['is a replica', ['REPLICAOF', '127.0.0.1', '1'], ['REPLICAOF', 'NO', 'ONE']],
    ['is full', ['CONFIG', 'SET', 'maxmemory', '1'], ['CONFIG', 'SET', 'maxmemory', '0']],
  ])('cause one warning while Redis can be read but %s', async (_, begin, end) => {
    const { issuer, time, createVerifier } = await setUpProcesses();
    const verifier = createVerifier();
    await verifier.verify(issuer.issueOpaque());
    const warnings = recordWarnings();
    const ofStore = (): string[] => codesOf(warnings).filter((code) => code.startsWith('ERS_STORE'));
    await redis.client.sendCommand(begin);
    try {
      for (let i = 0; i < 120; i++) {
        time.now += 1;
        await expect(verifier.verify(issuer.issueOpaque({ exp: time.now + 60 }))).resolves.toBeDefined();
      }
    } finally {
      await redis.client.sendCommand(end);
    }
    expect(ofStore()).toEqual(['ERS_STORE']);
    time.now += 31;
    await verifier.verify(issuer.issueOpaque({ exp: time.now + 60 }));
    expect(ofStore()).toEqual(['ERS_STORE', 'ERS_STORE_RESOLVED']);
    expect(await redis.client.dbSize()).toBe(2);
  });

  it('are shared in place of a value of another type in Redis', async () => {
    const warnings = recordWarnings();
    const { issuer, createVerifier } = await setUpProcesses();
    const token = issuer.issueOpaque();
    await createVerifier().verify(token);
    const [key = ''] = await redis.client.keys('*');
    await redis.client.del(key);
    await redis.client.lPush(key, 'value');
    await createVerifier().verify(token);
    await createVerifier().verify(token);
    expect(issuer.requests.introspection).toBe(2);
    expect(codesOf(warnings)).not.toContain('ERS_STORE');
  });

  it('are still verified while Redis hangs', async () => {
    const { issuer, createVerifier } = await setUpProcesses();
    const client = makeClient(redis.server);
    await client.connect();
    const hanging = createVerifier();
    const store = redisStore(client, { timeout: 0.05 });
    const verifier = verifierFor(issuer, { store });
    redis.server.freeze();
    try {
      await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
      await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
      await expect(store.get('key')).rejects.toThrow('Redis did not respond within 0.05 s');
    } finally {
      redis.server.thaw();
    }
    await expect(hanging.verify(issuer.issueOpaque())).resolves.toBeDefined();
    client.destroy();
  });
});
