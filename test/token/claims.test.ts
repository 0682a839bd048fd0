import { describe, expect, it } from '@jest/globals';
import type { JwtBearerOptions } from '../../lib/index.js';
import { get, serveFor, startIssuer } from '../support/helpers.js';

interface Caller {
  clientId?: string;
  subject?: string;
  scopes: string[];
  isMachine: boolean;
}

async function verifyAndRead(
  claims: Record<string, unknown>,
  options: Partial<JwtBearerOptions> = {},
): Promise<Caller> {
  const issuer = await startIssuer();
  const response = await get(serveFor(issuer, options), await issuer.issue(claims));
  expect(response.status).toBe(200);
  return response.body as Caller;
}

describe('the scopes of a caller', () => {
  it.each<[string, Record<string, unknown>, string[]]>([
    ['a scope string', { scope: 'a b' }, ['a', 'b']],
    ['a scope array', { scope: ['a', 'b'] }, ['a', 'b']],
    ['an scp string', { scp: 'a b' }, ['a', 'b']],
    ['an scp array', { scp: ['a', 'b'] }, ['a', 'b']],
    ['the union of both without duplicates', { scope: 'a b', scp: ['b', 'c'] }, ['a', 'b', 'c']],
    ['the names in a string with additional spaces', { scope: '  a   b ' }, ['a', 'b']],
    ['the strings of a mixed array', { scope: ['a', 1, null, ['b'], {}, ''] }, ['a']],
    ['the items of an array, which are not split', { scp: ['a b'] }, ['a b']],
    ['the names in a string, separated by spaces only', { scope: 'a,b a\tc' }, ['a,b', 'a\tc']],
    ['empty for a number', { scope: 7 }, []],
    ['empty for an object', { scope: { 0: 'admin', length: 1 } }, []],
    ['empty without a scope claim', {}, []],
    ['empty for claims that are not scope or scp', { scopes: 'a', permissions: ['a'] }, []],
  ])('are %s', async (_what, claims, scopes) => {
    expect((await verifyAndRead(claims)).scopes).toEqual(scopes);
  });

  it('are read from the claims of scopeClaims', async () => {
    const claims = { scope: 'ignored', permissions: ['a'], roles: 'b' };
    expect((await verifyAndRead(claims, { scopeClaims: ['roles', 'permissions'] })).scopes).toEqual(['b', 'a']);
  });
});

describe('the client id of a caller', () => {
  const all = { client_id: 'one', azp: 'two', cid: 'three', appid: 'four' };

  it.each<[string, Record<string, unknown>, string | undefined]>([
    ['client_id', { client_id: 'one', azp: undefined }, 'one'],
    ['azp', { client_id: undefined, azp: 'two' }, 'two'],
    ['the value of client_id and azp, if they are equal', { client_id: 'one', azp: 'one', cid: 'three' }, 'one'],
    ['undefined, if they differ', all, undefined],
    ['undefined, if one of them has another type', { client_id: 'one', azp: ['one'], cid: 'three' }, undefined],
    ['the other one, if one is null', { client_id: null, azp: 'two' }, 'two'],
    ['the other one, if one is empty', { client_id: '', azp: 'two' }, 'two'],
    ['cid, if client_id and azp are absent', { cid: 'three', appid: 'four', client_id: undefined }, 'three'],
    ['appid, if cid is empty', { cid: '', appid: 'four', client_id: undefined }, 'four'],
    ['appid, if cid has another type', { cid: 3, appid: 'four', client_id: undefined }, 'four'],
    ['undefined without any', { client_id: undefined }, undefined],
  ])('is %s', async (_what, claims, clientId) => {
    expect((await verifyAndRead(claims)).clientId).toBe(clientId);
  });

  it('is read from the claims of clientIdClaims', async () => {
    const options = { clientIdClaims: ['app', 'azp'] };
    expect((await verifyAndRead({ ...all, app: 'five' }, options)).clientId).toBe('five');
    expect((await verifyAndRead(all, options)).clientId).toBe('two');
    expect((await verifyAndRead({}, options)).clientId).toBeUndefined();
  });
});
