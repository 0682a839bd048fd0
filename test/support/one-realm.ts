import { beforeAll, jest } from '@jest/globals';

/**
 * Jest gives every test file an `Object` of its own, but the `structuredClone` that it passes on makes objects of the
 * runtime's. oidc-provider clones its clients' JWKS and tells plain objects by their constructor, so it would refuse
 * them. What it clones is JSON.
 */
export function cloneInThisRealm(): void {
  beforeAll(() => {
    jest.spyOn(globalThis, 'structuredClone').mockImplementation((value) => {
      return value === undefined ? value : (JSON.parse(JSON.stringify(value)) as typeof value);
    });
  });
}
