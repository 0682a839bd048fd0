import { describe, expect, it } from '@jest/globals';
import type { JwtBearerOptions } from '../lib/index.js';
import { get, serveFor, startIssuer } from './helpers.js';

interface Caller {
  clientId?: string;
  subject?: string;
  scopes: string[];
  isMachine: boolean;
}

async function learn(claims: Record<string, unknown>, options: Partial<JwtBearerOptions> = {}): Promise<Caller> {
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
    ['the union of both, each once', { scope: 'a b', scp: ['b', 'c'] }, ['a', 'b', 'c']],
    ['a string with more spaces than needed', { scope: '  a   b ' }, ['a', 'b']],
    ['the strings of a mixed array', { scope: ['a', 1, null, ['b'], {}, ''] }, ['a']],
    ['an array, whose items are not taken apart', { scp: ['a b'] }, ['a b']],
    ['a string, by spaces alone', { scope: 'a,b a\tc' }, ['a,b', 'a\tc']],
    ['no number', { scope: 7 }, []],
    ['no object', { scope: { 0: 'admin', length: 1 } }, []],
    ['nothing where nothing is said', {}, []],
    ['nothing that is not in these claims', { scopes: 'a', permissions: ['a'] }, []],
  ])('are %s', async (_what, claims, scopes) => {
    expect((await learn(claims)).scopes).toEqual(scopes);
  });

  it('are in other claims where that was said', async () => {
    const claims = { scope: 'ignored', permissions: ['a'], roles: 'b' };
    expect((await learn(claims, { scopeClaims: ['roles', 'permissions'] })).scopes).toEqual(['b', 'a']);
  });
});

describe('the client id of a caller', () => {
  const all = { client_id: 'one', azp: 'two', cid: 'three', appid: 'four' };

  it.each<[string, Record<string, unknown>, string | undefined]>([
    ['client_id before all', all, 'one'],
    ['then azp', { ...all, client_id: undefined }, 'two'],
    ['then cid', { cid: 'three', appid: 'four', client_id: undefined }, 'three'],
    ['then appid', { appid: 'four', client_id: undefined }, 'four'],
    ['not an empty string', { ...all, client_id: '' }, 'two'],
    ['not of another type', { client_id: undefined, azp: ['two'], cid: 3, appid: 'four' }, 'four'],
    ['nothing where there is none', { client_id: undefined }, undefined],
  ])('is %s', async (_what, claims, clientId) => {
    expect((await learn(claims)).clientId).toBe(clientId);
  });

  it('is in other claims where that was said', async () => {
    const options = { clientIdClaims: ['app', 'azp'] };
    expect((await learn({ ...all, app: 'five' }, options)).clientId).toBe('five');
    expect((await learn(all, options)).clientId).toBe('two');
    expect((await learn({}, options)).clientId).toBeUndefined();
  });
});

describe('a caller is a machine', () => {
  it.each<[string, Record<string, unknown>]>([
    ['without a subject', { sub: undefined }],
    ['without a subject and a client id', { sub: undefined, client_id: undefined }],
    ['whose subject is the client', { sub: 'c', client_id: 'c' }],
    ['whose subject is the client of azp', { sub: 'c', client_id: undefined, azp: 'c' }],
    ['with gty client-credentials', { sub: 'x', gty: 'client-credentials' }],
    ['with idtyp app', { sub: 'x', idtyp: 'app' }],
    ['whose subject is <id>@clients', { sub: 'c@clients', client_id: undefined, azp: 'c' }],
    [
      'with a service account of Keycloak',
      { sub: 'x', client_id: undefined, azp: 'Orders', preferred_username: 'service-account-orders' },
    ],
  ])('%s', async (_what, claims) => {
    expect((await learn(claims)).isMachine).toBe(true);
  });

  it.each<[string, Record<string, unknown>]>([
    ['whose subject is somebody else', { sub: 'alice' }],
    ['whose subject is empty', { sub: '', client_id: '' }],
    ['whose subject is the client in other case', { sub: 'Client-1' }],
    ['whose subject is <other id>@clients', { sub: 'other@clients' }],
    ['whose subject ends like that', { sub: 'x-client-1@clients' }],
    ['whose subject goes on after that', { sub: 'client-1@clients.example.com' }],
    ['with @clients and no client id', { sub: '@clients', client_id: undefined }],
    ['with the service account of another client', { sub: 'x', preferred_username: 'service-account-other' }],
    ['with a user name that begins like one', { sub: 'x', preferred_username: 'service-account-client-10' }],
    [
      'with a service account and no client id',
      { sub: 'x', client_id: undefined, preferred_username: 'service-account-' },
    ],
    ['with another gty', { sub: 'x', gty: 'password' }],
    ['with gty in an array', { sub: 'x', gty: ['client-credentials'] }],
    ['with another idtyp', { sub: 'x', idtyp: 'user' }],
  ])('but not one %s', async (_what, claims) => {
    expect((await learn(claims)).isMachine).toBe(false);
  });
});
