import { describe, expect, it } from '@jest/globals';
import { jwtVerifier, type KeyOptions } from '../../lib/index.js';
import { makeSigningKey, type TestIssuer } from '../../lib/testing/issuer.js';
import { startIssuer, verifyAsync } from '../support/helpers.js';
import { advance, simulateTime, watchedFetch } from '../support/time.js';

simulateTime();

function verifierFor(issuer: TestIssuer, keys: KeyOptions = {}): ReturnType<typeof jwtVerifier> {
  return jwtVerifier({ issuer: issuer.url, audience: issuer.audience, keys, fetch: watchedFetch });
}

function longLived(issuer: TestIssuer, header: Record<string, unknown> = {}): Promise<string> {
  return issuer.issue({ exp: issuer.now + 86_400 }, { header });
}

async function forged(issuer: TestIssuer, header: Record<string, unknown> = {}): Promise<string> {
  return issuer.issue({ exp: issuer.now + 86_400 }, { key: await makeSigningKey(), header });
}

/** Sends tokens that no key of the issuer signed, until the verifier stops calling the issuer. */
async function drain(issuer: TestIssuer, verifier: ReturnType<typeof jwtVerifier>): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const { jwks } = issuer.requests;
    await expect(verifier.verify(await forged(issuer))).rejects.toBeDefined();
    if (issuer.requests.jwks === jwks) return;
  }
  throw new Error('every forged token caused a fetch');
}

describe('keys that moved to another address', () => {
  it('are found although the old address still responds and the metadata is fresh for a day', async () => {
    const issuer = await startIssuer();
    issuer.cacheControl = 'max-age=86400';
    const old = [...issuer.published];
    const verifier = verifierFor(issuer);
    await verifier.verify(await longLived(issuer));
    await issuer.rotate({ dropOld: false });
    issuer.metadata.jwks_uri = `${issuer.jwksUri}-moved`;
    issuer.fail('jwks', (res, url) => {
      const keys = url.endsWith('-moved') ? issuer.published : old;
      res.setHeader('Content-Type', 'application/json').end(JSON.stringify({ keys }));
    });
    await expect(verifier.verify(await longLived(issuer))).resolves.toBeDefined();
  });

  it('are still read at the old address if the metadata is unavailable', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    await verifier.ready();
    await issuer.rotate();
    issuer.fail('metadata', 'error');
    await expect(verifier.verify(await longLived(issuer))).resolves.toBeDefined();
  });
});

describe('a new key under the same key id', () => {
  it('is found, and tokens of the old key are rejected', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    const old = await longLived(issuer);
    await verifier.verify(old);
    const { kid } = issuer.key;
    const key = await issuer.rotate();
    issuer.published = [{ ...key.publicJwk, kid }];
    await expect(verifier.verify(await longLived(issuer, { kid }))).resolves.toBeDefined();
    await expect(verifier.verify(old)).rejects.toMatchObject({ reason: 'signature_mismatch' });
  });

  it('is searched for within the same limit as unknown key ids', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    await verifier.ready();
    for (let i = 0; i < 20; i++) {
      const header = i % 2 === 0 ? { kid: issuer.key.kid } : {};
      await expect(verifier.verify(await forged(issuer, header))).rejects.toBeDefined();
    }
    expect(issuer.requests).toMatchObject({ metadata: 5, jwks: 5 });
  });
});

describe('a key that was rotated during a flood of forged tokens', () => {
  it.each([
    ['with key ids', {}],
    ['without key ids', { kid: undefined }],
  ])('causes 503 with Retry-After, and 200 after one cooldown: %s', async (_, header) => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer, { cooldown: 20 });
    await verifier.ready();
    await drain(issuer, verifier);
    await issuer.rotate();
    const valid = await longLived(issuer, header);
    await expect(verifier.verify(valid)).rejects.toMatchObject({
      status: 503,
      reason: 'keys_unavailable',
      retryAfter: 20,
      cause: { message: expect.stringContaining('keys.cooldown') },
    });
    await advance({ seconds: 20 });
    await expect(verifier.verify(valid)).resolves.toBeDefined();
  });

  it('is found immediately if the flood sends one forged key id every 30 seconds', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    await verifier.ready();
    for (let i = 0; i < 5; i++) {
      await expect(verifier.verify(await forged(issuer))).rejects.toMatchObject({ reason: 'unknown_key' });
      await issuer.rotate();
      await expect(verifier.verify(await longLived(issuer))).resolves.toBeDefined();
      await advance({ seconds: 60 });
    }
  });

  it('never causes more than 12 requests per minute to the issuer', async () => {
    const issuer = await startIssuer();
    issuer.cacheControl = 'max-age=86400';
    const verifier = verifierFor(issuer);
    await verifier.ready();
    await advance({ seconds: 300 });
    const token = await forged(issuer);
    const total = (): number => issuer.requests.metadata + issuer.requests.jwks;
    for (let minute = 0; minute < 3; minute++) {
      const before = total();
      for (let second = 0; second < 60; second += 4) {
        await Promise.allSettled(Array.from({ length: 20 }, () => verifyAsync(verifier, token)));
        await verifyAsync(verifier, token).catch(() => undefined);
        await advance({ seconds: 4 });
      }
      expect(total() - before).toBeLessThanOrEqual(12);
    }
  });
});
