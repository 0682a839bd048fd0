import { describe, expect, it } from '@jest/globals';
import { bearer, cachedVerifier, introspectionVerifier, jwtVerifier, trustedIssuers } from '../../lib/index.js';
import { expectRefused, get, serve, startIssuer } from '../support/helpers.js';
import { apiFor, verifierFor } from '../support/introspection.js';

/** All printable ASCII characters (RFC 6749 §A.12). A space at the end of a header field is not part of its value. */
const ALL = Array.from({ length: 0x5f }, (_, i) => String.fromCharCode(0x20 + i)).join('');
const SALESFORCE = '00D5g000004XXXX!AQEAQLongTextWith.Dots_and-more';

describe('a token outside the grammar of bearer tokens', () => {
  it.each([SALESFORCE, `a${ALL}z`, 'a b', 'a,b', '"quoted"', '{"json":true}', 'a=b', '!'])(
    'is accepted only with allowAnyTokenCharacters: %s',
    async (token) => {
      const issuer = await startIssuer();
      issuer.issueOpaque({}, token);
      expect((await get(apiFor(issuer, { allowAnyTokenCharacters: true }), token)).status).toBe(200);
      expect(issuer.introspection.timesAsked(token)).toBe(1);
      await expectRefused(apiFor(issuer), token, 400, 'invalid_request');
      await expectRefused(apiFor(issuer, { allowAnyTokenCharacters: false }), token, 400, 'invalid_request');
    },
  );

  it.each(['caf\u00e9', 'a\tb', '\u00ff', 'a\u0080b'])('is never accepted with other characters: %j', async (token) => {
    const issuer = await startIssuer();
    const app = apiFor(issuer, { allowAnyTokenCharacters: true });
    await expectRefused(app, token, 400, 'invalid_request');
    expect(issuer.requests.introspection).toBe(0);
  });

  it.each(['x, Bearer y', 'x,DPoP y', ''])(
    'does not hide several credentials or missing credentials: %j',
    async (token) => {
      const issuer = await startIssuer();
      await expectRefused(apiFor(issuer, { allowAnyTokenCharacters: true }), token, 400, 'invalid_request');
    },
  );

  it('is accepted from tokenFrom, too', async () => {
    const issuer = await startIssuer();
    issuer.issueOpaque({}, SALESFORCE);
    const app = apiFor(issuer, { allowAnyTokenCharacters: true, tokenFrom: () => SALESFORCE });
    expect((await get(app)).status).toBe(200);
    await expectRefused(apiFor(issuer, { tokenFrom: () => SALESFORCE }), undefined, 400, 'invalid_request');
    const strange = apiFor(issuer, { allowAnyTokenCharacters: true, tokenFrom: () => 'a\nb' });
    await expectRefused(strange, undefined, 400, 'invalid_request');
  });

  it('is accepted by every verifier that contains one which accepts it', async () => {
    const issuer = await startIssuer();
    issuer.issueOpaque({}, SALESFORCE);
    const opaque = verifierFor(issuer, { allowAnyTokenCharacters: true });
    const jwt = jwtVerifier({ issuer: 'https://other.example.com', audience: 'api' });
    for (const verifier of [
      opaque,
      cachedVerifier(opaque),
      trustedIssuers([jwt, opaque]),
      trustedIssuers([jwt, { verifier: opaque, scopes: ['a'] }]),
      cachedVerifier(trustedIssuers([jwt, opaque])),
    ]) {
      expect((await get(serve(bearer(verifier)), SALESFORCE)).status).toBe(200);
    }
    for (const verifier of [
      jwt,
      trustedIssuers([jwt]),
      introspectionVerifier({ ...plain(issuer.introspectionEndpoint) }),
    ]) {
      await expectRefused(serve(bearer(verifier)), SALESFORCE, 400, 'invalid_request');
    }
  });
});

function plain(introspectionEndpoint: string): Parameters<typeof introspectionVerifier>[0] {
  return { introspectionEndpoint, clientId: 'api', clientSecret: 'secret', audience: false };
}
