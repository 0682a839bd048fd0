import { describe, expect, it } from '@jest/globals';
import { expectRefused, get, serveFor, startIssuer } from './helpers.js';

describe('a bearer middleware', () => {
  it('tells the handler who is calling', async () => {
    const issuer = await startIssuer();
    const response = await get(serveFor(issuer), await issuer.issue({ scope: 'a b' }));
    expect(response.status).toBe(200);
    expect(response.body).toEqual({ clientId: 'client-1', subject: 'client-1', scopes: ['a', 'b'], isMachine: true });
  });

  it('challenges a request without credentials', async () => {
    const issuer = await startIssuer();
    const response = await expectRefused(serveFor(issuer, { realm: 'orders' }), undefined, 401, undefined);
    expect(response.headers['www-authenticate']).toBe('Bearer realm="orders"');
  });
});
