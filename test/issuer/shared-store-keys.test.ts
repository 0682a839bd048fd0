import { describe, expect, it } from '@jest/globals';
import { type IntrospectionVerifierOptions, memoryStore } from '../../lib/index.js';
import { startIssuer, verifyAsync } from '../support/helpers.js';
import { optionsFor, verifierFor } from '../support/introspection.js';

describe('two APIs with one store', () => {
  const bearerOf = (token: string): Partial<IntrospectionVerifierOptions> => ({
    clientId: undefined,
    clientAuthentication: { bearerToken: () => token },
  });

  it.each<[string, Partial<IntrospectionVerifierOptions>, Partial<IntrospectionVerifierOptions>]>([
    ['bearer tokens', bearerOf('one'), bearerOf('two')],
    ['bearer tokens of one client', { ...bearerOf('one'), clientId: 'api' }, { ...bearerOf('two'), clientId: 'api' }],
    ['a bearer token and a client', bearerOf('one'), {}],
    ['clients', { clientId: 'one' }, { clientId: 'two' }],
    ['audiences', { audience: 'one' }, { audience: ['one', 'two'] }],
    ['an audience and none', { audience: 'none' }, { audience: false }],
    ['profiles', { audience: false }, { audience: false, profile: 'fapi2' }],
    ['signed and plain responses', { audience: false }, { audience: false, signedResponse: true }],
  ])('share no result if they differ in %s', async (_, one, two) => {
    const issuer = await startIssuer();
    const store = memoryStore();
    const token = issuer.issueOpaque();
    for (const options of [one, two]) {
      const verifier = verifierFor(issuer, { ...optionsFor(issuer, options), ...options, store });
      await verifyAsync(verifier, token).catch(() => undefined);
      await verifier.close();
    }
    expect(issuer.requests.introspection).toBe(2);
  });

  it('share results with the same bearer token, and with the same audiences in another order', async () => {
    const issuer = await startIssuer();
    const store = memoryStore();
    const token = issuer.issueOpaque();
    const { audience } = issuer;
    for (const audiences of [
      ['two', audience],
      [audience, 'two'],
    ]) {
      const verifier = verifierFor(issuer, { ...bearerOf('one'), audience: audiences, store });
      await expect(verifyAsync(verifier, token)).resolves.toBeDefined();
    }
    expect(issuer.requests.introspection).toBe(1);
  });
});
