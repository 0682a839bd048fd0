import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';

interface Entry {
  readonly payload: AdapterPayload;
  readonly expiresAt: number;
}

/**
 * The storage of the embedded issuer, in memory: opaque access tokens until they expire or are revoked, and used client
 * assertions. JWT access tokens are not stored. It survives a key rotation, so that tokens stay valid and no assertion can
 * be used twice.
 */
export function createMemoryAdapter(): AdapterFactory {
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
    // Only grants on behalf of people need these functions.
    consume: unsupported,
    findByUid: unsupported,
    findByUserCode: unsupported,
    revokeByGrantId: unsupported,
  });
}

function unsupported(): Promise<never> {
  return Promise.reject(new Error('the example supports only the client-credentials grant'));
}
