import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';

interface Entry {
  readonly payload: AdapterPayload;
  readonly expiresAt: number;
}

/**
 * What the embedded issuer remembers: opaque access tokens, until they expire or are revoked, and the client assertions
 * that have been used. JWT access tokens are not kept. It outlives the issuer's change of keys, so that tokens stay good
 * and no assertion can be used again.
 */
export function issuerMemory(): AdapterFactory {
  const entries = new Map<string, Entry>();

  const dropExpired = (): void => {
    const now = Date.now();
    for (const [key, { expiresAt }] of entries) if (expiresAt <= now) entries.delete(key);
  };

  return (model: string): Adapter => ({
    upsert: (id, payload, expiresIn = 3_600) => {
      dropExpired();
      entries.set(`${model}:${id}`, { payload, expiresAt: Date.now() + expiresIn * 1000 });
      return Promise.resolve();
    },
    find: (id) => {
      dropExpired();
      return Promise.resolve(entries.get(`${model}:${id}`)?.payload);
    },
    destroy: (id) => {
      entries.delete(`${model}:${id}`);
      return Promise.resolve();
    },
    // Grants on behalf of people would need these; this issuer has none.
    consume: notNeeded,
    findByUid: notNeeded,
    findByUserCode: notNeeded,
    revokeByGrantId: notNeeded,
  });
}

function notNeeded(): Promise<never> {
  return Promise.reject(new Error('the example issues tokens by the client-credentials grant alone'));
}
