import { describe, expect, it } from '@jest/globals';
import { bearer, ConfigurationError, createAccessToken, type TokenVerifier } from 'express-resource-server';
import { checkProfileOptions, rulesOf } from '../../lib/token/profile.js';

describe('the table of profiles', () => {
  it('adds no requirement without a profile', () => {
    expect(rulesOf(undefined)).toMatchObject({ requiresAtJwt: false, requiredClaims: [], requiresBinding: false });
  });

  it('requires RFC 9068, a binding and the algorithms of FAPI 2.0 with fapi2', () => {
    expect(rulesOf('fapi2')).toMatchObject({
      ...{ ...rulesOf('rfc9068'), algorithms: ['PS256', 'ES256', 'EdDSA', 'Ed25519'], requiresBinding: true },
      rejectedOptions: {
        allowInsecureHttp: expect.anything(),
        secret: expect.anything(),
        audience: expect.anything(),
        tokenFrom: expect.anything(),
      },
    });
  });

  it('does not include the value of a rejected option in the error', () => {
    const secret = 'a secret that must not be shown';
    const check = (): void => {
      checkProfileOptions('jwtBearer', 'fapi2', { secret });
    };
    expect(check).toThrow('jwtBearer: secret: expected nothing, because the profile is fapi2, got a value.');
    expect(check).not.toThrow(secret);
  });

  it('rejects a custom verifier with an unknown profile', () => {
    const verifier = {
      profile: 'fapi3',
      verify: () => createAccessToken({ iss: 'https://auth.example.com' }),
    } as unknown as TokenVerifier;
    expect(() => bearer(verifier)).toThrow(ConfigurationError);
  });
});
