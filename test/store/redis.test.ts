import { expect, it } from '@jest/globals';
import { type IntrospectionVerifierOptions, redisStore } from '../../lib/index.js';
import { get, startIssuer, verifyAsync } from '../support/helpers.js';
import { apiFor, movableClock, verifierFor } from '../support/introspection.js';
import { describeWithRedis, makeClient } from '../support/redis-server.js';

describeWithRedis('opaque tokens with a real Redis server', (redis) => {
  /** Several processes, as far as memory goes: each verifier has its own, and all share Redis. */
  async function fleet(options: Partial<IntrospectionVerifierOptions> = {}) {
    const issuer = await startIssuer();
    const time = movableClock(issuer.now);
    const store = redisStore(redis.client, { timeout: 5 });
    const another = () => verifierFor(issuer, { store, clock: time.clock, ...options });
    return { issuer, time, another };
  }

  it('are asked about once, and a process that starts later starts warm', async () => {
    const { issuer, another } = await fleet();
    const token = issuer.issueOpaque({ scope: 'a', name: 'größe-東京-🔑', id: 9_007_199_254_740_991 });
    const first = await another().verify(token);
    await expect(another().verify(token)).resolves.toEqual(first);
    await expect(another().verify('garbage')).rejects.toMatchObject({ reason: 'inactive' });
    await expect(another().verify('garbage')).rejects.toMatchObject({ reason: 'inactive' });
    expect(issuer.requests.introspection).toBe(2);
  });

  it('are asked about once by twenty processes at the same time', async () => {
    const { issuer, another } = await fleet();
    const tokens = Array.from({ length: 5 }, () => issuer.issueOpaque());
    const verifiers = Array.from({ length: 20 }, another);
    await Promise.all(verifiers.flatMap((verifier) => tokens.map((token) => verifyAsync(verifier, token))));
    expect(issuer.requests.introspection).toBe(5);
  });

  it('are nowhere in Redis, only digests, and everything there ends by itself', async () => {
    const { issuer, another } = await fleet();
    const token = issuer.issueOpaque();
    await another().verify(token);
    await verifyAsync(another(), 'garbage').catch(() => undefined);
    await another().invalidate('forgotten-token');
    const keys = await redis.client.keys('*');
    expect(keys.length).toBeGreaterThanOrEqual(2);
    for (const key of keys) {
      expect(key).toMatch(/^express-resource-server:introspection:[\w-]{16}:[\w-]{43}(?::invalidated)?$/);
      expect(await redis.client.pTTL(key)).toBeGreaterThan(0);
      expect(await redis.client.pTTL(key)).toBeLessThanOrEqual(60_000);
      const value = (await redis.client.get(key)) ?? '';
      for (const secret of [token, 'garbage', 'forgotten-token', 'battery']) {
        expect([key.includes(secret), value.includes(secret)]).toEqual([false, false]);
      }
    }
  });

  it('live in Redis no longer than they are valid', async () => {
    const { issuer, another } = await fleet();
    await another().verify(issuer.issueOpaque({ exp: issuer.now + 7 }));
    const [key = ''] = await redis.client.keys('*');
    expect(await redis.client.pTTL(key)).toBeLessThanOrEqual(7_000);
  });

  it('are forgotten everywhere within 5 seconds', async () => {
    const { issuer, time, another } = await fleet();
    const [here, there] = [another(), another()];
    const token = issuer.issueOpaque();
    await Promise.all([here.verify(token), there.verify(token)]);
    issuer.revoke(token);
    await here.invalidate(token);
    await expect(here.verify(token)).rejects.toMatchObject({ reason: 'inactive' });
    time.now += 5;
    await expect(there.verify(token)).rejects.toMatchObject({ reason: 'inactive' });
    await expect(another().verify(token)).rejects.toMatchObject({ reason: 'inactive' });
  });

  it('survive junk in Redis, which is written over', async () => {
    const { issuer, another } = await fleet();
    const token = issuer.issueOpaque();
    await another().verify(token);
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
      await expect(another().verify(token)).resolves.toBeDefined();
      await expect(another().verify(token)).resolves.toBeDefined();
      expect(issuer.requests.introspection).toBe(before + 1);
    }
  });

  it('are still verified while Redis is gone, and shared again when it is back', async () => {
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

  it('are still verified while Redis hangs', async () => {
    const { issuer, another } = await fleet();
    const client = makeClient(redis.server);
    await client.connect();
    const hanging = another();
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
