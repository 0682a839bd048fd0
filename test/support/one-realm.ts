import { beforeAll, jest } from '@jest/globals';

/**
 * Jest gives every test file its own `Object`, but the `structuredClone` in test files creates objects with the `Object`
 * of the runtime. oidc-provider clones its clients' JWKS and recognizes plain objects by their constructor, so it would
 * reject them. The cloned values are JSON.
 */
export function cloneInThisRealm(): void {
  beforeAll(() => {
    jest.spyOn(globalThis, 'structuredClone').mockImplementation((value) => {
      return value === undefined ? value : (JSON.parse(JSON.stringify(value)) as typeof value);
    });
  });
}
