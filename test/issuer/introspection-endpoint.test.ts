import { describe, expect, it } from '@jest/globals';
import { startIssuer } from '../support/helpers.js';
import { verifierFor } from '../support/introspection.js';

describe('an introspection endpoint that moved', () => {
  it('is discovered again, although the metadata is still fresh', async () => {
    const issuer = await startIssuer();
    issuer.cacheControl = 'max-age=86400';
    const verifier = verifierFor(issuer);
    await verifier.verify(issuer.issueOpaque());
    issuer.metadata.introspection_endpoint = `${issuer.introspectionEndpoint}-moved`;
    const { introspection } = issuer;
    const originalAnswer = introspection.respond.bind(introspection);
    introspection.respond = async (req, res, fault) => {
      if (req.url?.endsWith('-moved') === true) await originalAnswer(req, res, fault);
      else res.writeHead(404).end();
    };
    await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
  });

  it('is searched for at most once in 30 seconds', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    issuer.fail('introspection', 'missing');
    for (let i = 0; i < 10; i++) {
      await expect(verifier.verify(`token-${i}`)).rejects.toMatchObject({ reason: 'introspection_unavailable' });
    }
    expect(issuer.requests.metadata).toBe(2);
  });
});
