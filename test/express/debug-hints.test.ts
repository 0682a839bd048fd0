import { describe, expect, it } from '@jest/globals';
import { jwtBearer, type Middleware } from '../../lib/index.js';
import { rejectionLine } from '../../lib/express/report.js';
import { getRaw, listen, serve, startIssuer } from '../support/helpers.js';

describe('the debug line says where the token of a request is:', () => {
  it.each<[string, (token: string) => { fields?: string[]; path?: string }, RegExp]>([
    ['nowhere', () => ({}), /Send the header Authorization/],
    ['in a cookie', (token) => ({ fields: ['Cookie', `a=b; session=${token}`] }), /A token in a cookie is not read/],
    ['in X-Access-Token', () => ({ fields: ['X-Access-Token', 'opaque'] }), /The header x-access-token is not read/],
    ['in any header', (token) => ({ fields: ['X-Api-Key', token] }), /The header x-api-key is not read/],
    ['in the query', () => ({ path: '/?access_token=opaque' }), /A token in the query is not read/],
    ['in the query by another name', (token) => ({ path: `/?t=${token}` }), /A token in the query is not read/],
    ['without a scheme', (token) => ({ fields: ['Authorization', token] }), /no scheme before the token/],
    ['opaque and without a scheme', () => ({ fields: ['Authorization', 'opaque'] }), /does not begin with the scheme/],
    ['behind another scheme', (token) => ({ fields: ['Authorization', `Token ${token}`] }), /does not begin with/],
    ['behind the scheme DPoP', (token) => ({ fields: ['Authorization', `DPoP ${token}`] }), /turn on the option dpop/],
    [
      'behind two schemes',
      (token) => ({ fields: ['Authorization', `Bearer Bearer ${token}`] }),
      /Send the scheme once/,
    ],
    ['not there', () => ({ fields: ['Authorization', 'Bearer'] }), /sent the scheme without a token/],
    ['in quotes', (token) => ({ fields: ['Authorization', `Bearer "${token}"`] }), /found "a quotation mark"/],
    ['cut off', (token) => ({ fields: ['Authorization', `Bearer ${token.replace(/\.[^.]*$/, '')}`] }), /was cut off/],
    ['replaced by undefined', () => ({ fields: ['Authorization', 'Bearer undefined'] }), /sent the text undefined/],
  ])('%s', async (_, request, hint) => {
    const issuer = await startIssuer();
    const token = await issuer.issue();
    const lines: string[] = [];
    const middleware: Middleware = jwtBearer({
      issuer: issuer.url,
      audience: issuer.audience,
      onRejection: (error, req) => {
        const presented = /^Bearer (\S+)$/.exec(req.headers.authorization ?? '')?.[1];
        lines.push(rejectionLine(error, req, issuer.now, presented));
      },
    });
    const { fields = [], path = '/' } = request(token);
    await getRaw(await listen(serve(middleware)), fields, { path });
    expect(lines).toEqual([expect.stringMatching(hint)]);
    expect(lines[0]).not.toContain(token.split('.')[2]);
  });
});
