import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ConfigurationError, createAccessToken } from '../../lib/index.js';

type Claims = Record<string, unknown>;
type Options = Parameters<typeof createAccessToken>[1];

const ISSUER = 'https://as.example.test';

function callerOf(claims: Claims, options: Options = {}): string {
  const { isMachine, isUser } = createAccessToken({ iss: ISSUER, ...claims }, options);
  if (isMachine && isUser) return 'both';
  if (isMachine) return 'machine';
  return isUser ? 'user' : 'unknown';
}

/** The token of a machine: its subject is the client. */
const MACHINE = { sub: 'batch', client_id: 'batch' };
/** The token of a user, from a server that adds session ids. */
const USER = { sub: 'p1', client_id: 'web', sid: 's1' };

describe('a statement of the server', () => {
  it.each<[string, Claims, string]>([
    ['gty with the spelling of Auth0', { gty: 'client-credentials', sub: 'x' }, 'machine'],
    ['gty with the spelling of RFC 6749', { gty: 'client_credentials', sub: 'x' }, 'machine'],
    ['gty in an array', { gty: ['client_credentials'], sub: 'x' }, 'machine'],
    ['grant_type', { grant_type: 'client_credentials', sub: 'x' }, 'machine'],
    ['idtyp app', { idtyp: 'app', sub: 'x' }, 'machine'],
    ['aut APPLICATION', { aut: 'APPLICATION', sub: 'x' }, 'machine'],
    ['a grant that needs a user', { grant_type: 'authorization_code', sub: 'x' }, 'user'],
    ['the implicit grant', { gty: 'implicit', sub: 'x' }, 'user'],
    ['the password grant', { gty: ['password'], sub: 'x' }, 'user'],
    ['the device grant', { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', sub: 'x' }, 'user'],
    ['a grant that needs a user among others', { gty: ['authorization_code', 'refresh_token'], sub: 'x' }, 'user'],
    ['idtyp user', { idtyp: 'user', sub: 'x' }, 'user'],
    ['aut APPLICATION_USER', { aut: 'APPLICATION_USER', sub: 'x' }, 'user'],
  ])('decides: %s', (_what, claims, caller) => {
    expect(callerOf(claims)).toBe(caller);
  });

  it.each<[string, Claims, string]>([
    ['a session', { idtyp: 'app', ...USER }, 'machine'],
    ['an authentication method of a user', { gty: 'client-credentials', amr: ['pwd'] }, 'machine'],
    ['a name', { aut: 'APPLICATION', name: 'N' }, 'machine'],
    ['a subject that is the client', { idtyp: 'user', ...MACHINE }, 'user'],
  ])('has priority over %s', (_what, claims, caller) => {
    expect(callerOf(claims)).toBe(caller);
  });

  it.each<[string, Claims]>([
    ['idtyp and aut', { idtyp: 'app', aut: 'APPLICATION_USER' }],
    ['gty and idtyp', { gty: 'client-credentials', idtyp: 'user' }],
    ['gty and grant_type', { gty: 'client-credentials', grant_type: 'password' }],
    ['aut and grant_type', { aut: 'APPLICATION', grant_type: 'authorization_code', ...MACHINE }],
    ['gty and an unrelated grant', { gty: 'client-credentials', grant_type: 'refresh_token', ...MACHINE }],
  ])('decides nothing together with a contradicting statement: %s', (_what, claims) => {
    expect(callerOf(claims)).toBe('unknown');
  });

  // A token that states another grant is not evidence of the client-credentials grant, although a person named like the
  // client, or a client that exchanged a token, can have such a subject.
  it.each<[string, Claims]>([
    ['a refreshed token', { grant_type: 'refresh_token' }],
    ['a refreshed token, in an array', { gty: ['refresh_token'] }],
    ['client credentials and more', { gty: ['client_credentials', 'refresh_token'] }],
    ['an exchanged token', { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange' }],
    ['a statement of another type', { idtyp: ['user'] }],
    ['a number', { grant_type: 7 }],
    ['an empty statement', { aut: '' }],
    ['a nested array', { gty: [['authorization_code']] }],
    ['another value', { idtyp: 'device' }],
  ])('never makes isMachine true: %s', (_what, claims) => {
    expect(callerOf({ ...MACHINE, ...claims })).toBe('unknown');
    expect(callerOf({ ...USER, ...claims })).toBe('user');
  });
});

describe('isMachine', () => {
  it.each<[string, Claims]>([
    ['sub is client_id', MACHINE],
    ['sub is azp', { sub: 'batch', azp: 'batch' }],
    ['sub is cid', { sub: 'batch', cid: 'batch' }],
    ['sub is appid', { sub: 'batch', appid: 'batch' }],
    ['sub is the client of Auth0', { sub: 'batch@clients', azp: 'batch' }],
    ['sub is the client of ForgeRock', { sub: '(age!batch)', client_id: 'batch' }],
    [
      'sub is the client, with an e-mail address',
      { ...MACHINE, email: 'batch@example.test', auth_time: 1, acr: '1', uid: 'u' },
    ],
    ['sub is the client, with the scope openid', { ...MACHINE, scope: 'openid profile' }],
    ['sub is the client, with authentication methods of a key', { ...MACHINE, amr: ['hwk', 'swk', 'pop'] }],
    [
      'sub is the client, with null members',
      { ...MACHINE, sid: null, name: null, username: null, amr: null, act: null, gty: null },
    ],
    ['sub is the client, with itself as actor', { ...MACHINE, act: { sub: 'batch' } }],
    [
      'sub is the client, with itself as actor of this issuer',
      { ...MACHINE, act: { client_id: 'batch', iss: ISSUER } },
    ],
  ])('is true: %s', (_what, claims) => {
    expect(callerOf(claims)).toBe('machine');
  });

  it.each<[string, Claims]>([
    ['a subject without a client', { sub: 'batch' }],
    ['a client without a subject', { client_id: 'batch' }],
    ['an empty subject and client', { sub: '', client_id: '' }],
    ['another subject', { sub: 'p1', client_id: 'batch' }],
    ['a subject that differs in letter case', { sub: 'Batch', client_id: 'batch' }],
    ['a longer subject', { sub: 'batch@clients.example.test', client_id: 'batch' }],
    ['a longer subject before @clients', { sub: 'x-batch@clients', client_id: 'batch' }],
    ['nothing before @clients', { sub: '@clients', client_id: '' }],
    ['two clients', { sub: 'batch', client_id: 'batch', azp: 'web' }],
    ['a client in an array', { sub: 'batch', client_id: 'batch', azp: ['batch'] }],
    ['a name', { ...MACHINE, name: 'N' }],
    ['an empty name', { ...MACHINE, name: '' }],
    ['a given name', { ...MACHINE, given_name: 'N' }],
    ['a family name', { ...MACHINE, family_name: 'N' }],
    ['a nonce', { ...MACHINE, nonce: 'n' }],
    ['a session', { ...MACHINE, sid: 's' }],
    ['a session of another type', { ...MACHINE, sid: 7 }],
    ['an empty session', { ...MACHINE, sid: '' }],
    ['an authentication method of a user', { ...MACHINE, amr: ['hwk', 'pwd'] }],
    ['an authentication method as a string', { ...MACHINE, amr: 'pwd' }],
    ['authentication methods of another type', { ...MACHINE, amr: [['pwd']] }],
    ['a user name', { ...MACHINE, username: 'batch' }],
    ['a preferred user name', { ...MACHINE, preferred_username: 'batch' }],
    ['an empty user name', { ...MACHINE, username: '' }],
    ['a user name of another type', { ...MACHINE, preferred_username: ['batch'] }],
  ])('is false with %s', (_what, claims) => {
    expect(callerOf(claims)).toBe('unknown');
  });

  it('compares sub, even with the option subjectClaims', () => {
    expect(callerOf({ sub: 'p1', account: 'batch', client_id: 'batch' }, { subjectClaims: ['account'] })).toBe(
      'unknown',
    );
    expect(callerOf({ ...MACHINE, account: 'p1' }, { subjectClaims: ['account'] })).toBe('machine');
  });

  it('compares the client of the option clientIdClaims', () => {
    expect(callerOf({ sub: 'ci', client_id: 'web' }, { clientIdClaims: ['sub'] })).toBe('machine');
    expect(callerOf(MACHINE, { clientIdClaims: ['azp'] })).toBe('unknown');
  });

  it.each<[string, Claims, Options, string]>([
    ['introspected', {}, { format: 'opaque' }, 'machine'],
    ['in a JWT of type Bearer', { typ: 'Bearer' }, { format: 'jwt' }, 'machine'],
    ['in a JWT of type DPoP', { typ: 'DPoP' }, { format: 'jwt' }, 'machine'],
    ['in a JWT without type', {}, { format: 'jwt' }, 'unknown'],
    ['in a JWT of another type', { typ: 'at' }, { format: 'jwt' }, 'unknown'],
    ['with another user name', { username: 'Batch' }, { format: 'opaque' }, 'unknown'],
    ['with the user name of a person', { username: 'alice' }, { format: 'opaque' }, 'user'],
    ['with the same user name twice', { username: 'service-account-batch' }, { format: 'opaque' }, 'machine'],
    ['of another client', { client_id: 'other' }, { format: 'opaque' }, 'unknown'],
    ['without a client', { client_id: undefined }, { format: 'opaque' }, 'unknown'],
    ['with a session', { sid: 's' }, { format: 'opaque' }, 'unknown'],
    ['in another letter case', { preferred_username: 'Service-Account-batch' }, { format: 'opaque' }, 'unknown'],
    ['with additional characters', { preferred_username: 'service-account-batch2' }, { format: 'opaque' }, 'unknown'],
  ])('has the right value for the service account of Keycloak: %s', (_what, changes, options, caller) => {
    const claims = { sub: 'u1', client_id: 'Batch', preferred_username: 'service-account-batch', ...changes };
    expect(callerOf(claims, options)).toBe(caller);
  });
});

describe('isUser', () => {
  it.each<[string, Claims]>([
    ['a session', { sid: 's' }],
    ['a session without a client', { sid: 's', client_id: undefined }],
    ['a password', { amr: ['pwd'] }],
    ['a one-time password among others', { amr: ['hwk', 'otp'] }],
    ['a user name with a client', { username: 'alice' }],
    ['a name and a session', { sid: 's', name: 'N', nonce: 'n' }],
  ])('is true with %s', (_what, claims) => {
    expect(callerOf({ sub: 'p1', client_id: 'web', ...claims })).toBe('user');
  });

  it.each<[string, Claims]>([
    ['a user name without a client', { username: 'alice', client_id: undefined }],
    ['a user name that is the client', { username: 'web' }],
    ['a user name that is the client and a host', { username: 'web@example.test' }],
    ['a user name that starts with service-account-', { username: 'service-account-x' }],
    ['a user name that starts with Service-Account-', { username: 'Service-Account-X' }],
    ['an empty user name', { username: '' }],
    ['a user name of another type', { username: ['alice'] }],
    ['an empty session', { sid: '' }],
    ['a session of another type', { sid: ['s'] }],
    ['authentication methods that need no person', { amr: ['hwk', 'swk', 'rba', 'geo', 'wia', 'rsa'] }],
    ['authentication methods in a nested array', { amr: [['pwd']] }],
    ['names and a nonce', { name: 'N', given_name: 'N', family_name: 'N', nonce: 'n' }],
    ['a preferred user name', { preferred_username: 'alice' }],
    ['an e-mail address', { email: 'p@example.test', email_verified: true }],
    ['auth_time and acr', { auth_time: 1, acr: '1' }],
    ['ids', { uid: 'u', user_id: 'u', session_id: 's' }],
    ['scopes', { scope: 'openid profile email offline_access' }],
    ['a subject that differs', {}],
  ])('is false with %s', (_what, claims) => {
    expect(callerOf({ sub: 'p1', client_id: 'web', ...claims })).toBe('unknown');
  });
});

describe('an actor', () => {
  it('is the outermost one', () => {
    const act = { sub: 'agent', client_id: 'gateway', iss: ISSUER, act: { sub: 'earlier', act: { sub: 'first' } } };
    const { actor } = createAccessToken({ iss: ISSUER, act });
    expect(actor).toEqual({ subject: 'agent', clientId: 'gateway', issuer: ISSUER });
    expect(Object.isFrozen(actor)).toBe(true);
  });

  it.each<[string, unknown]>([
    ['null', null],
    ['a string', 'agent'],
    ['an array', [{ sub: 'agent' }]],
    ['a number', 7],
  ])('is undefined for %s', (_what, act) => {
    expect(createAccessToken({ iss: ISSUER, act }).actor).toBeUndefined();
  });

  it('has no members of other types', () => {
    const act = { sub: 7, client_id: '', iss: ['x'] };
    expect(createAccessToken({ iss: ISSUER, act }).actor).toEqual({
      subject: undefined,
      clientId: undefined,
      issuer: undefined,
    });
  });

  it.each<[string, unknown]>([
    ['another subject', { sub: 'other' }],
    ['another client', { client_id: 'other' }],
    ['a person through the client', { sub: 'p1', client_id: 'batch' }],
    ['the same name at another issuer', { sub: 'batch', iss: 'https://other.example.test' }],
    ['the client in another letter case', { sub: 'Batch' }],
    ['no member', {}],
    ['a subject of another type', { sub: ['batch'] }],
    ['a client of another type beside its subject', { sub: 'batch', client_id: 7 }],
    ['a string', 'batch'],
    ['an array', [{ sub: 'batch' }]],
    ['an empty string', ''],
  ])('makes isMachine false unless it is the client: %s', (_what, act) => {
    expect(callerOf({ ...MACHINE, act })).toBe('unknown');
    expect(callerOf({ ...MACHINE, act, gty: 'client-credentials' })).toBe('unknown');
    expect(callerOf({ ...MACHINE, act }, { isMachine: () => true })).toBe('unknown');
    expect(callerOf({ ...USER, act })).toBe('user');
  });

  it('inside another actor has no effect', () => {
    expect(callerOf({ ...MACHINE, act: { sub: 'batch', act: { sub: 'other' } } })).toBe('machine');
  });
});

describe('the options isMachine and isUser', () => {
  it('each replace one value', () => {
    const claims = { sub: 'p1', client_id: 'web', kind: 'service' };
    expect(callerOf(claims, { isMachine: ({ kind }) => kind === 'service' })).toBe('machine');
    expect(callerOf(claims, { isUser: ({ kind }) => kind === 'service' })).toBe('user');
    expect(callerOf(MACHINE, { isMachine: () => false })).toBe('unknown');
    expect(callerOf(USER, { isUser: () => false })).toBe('unknown');
    expect(callerOf(USER, { isMachine: () => false })).toBe('user');
  });

  it('make both values false if both results are true', () => {
    expect(callerOf(MACHINE, { isUser: () => true })).toBe('unknown');
    expect(callerOf(USER, { isMachine: () => true })).toBe('unknown');
    expect(callerOf({}, { isMachine: () => true, isUser: () => true })).toBe('unknown');
  });

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['1', 1],
    ['a string', 'yes'],
    ['an object', {}],
  ])('convert %s to false', (_what, result) => {
    expect(callerOf(MACHINE, { isMachine: () => result as boolean })).toBe('unknown');
    expect(callerOf(USER, { isUser: () => result as boolean })).toBe('unknown');
  });

  it.each<[string, (claims: Readonly<Record<string, unknown>>) => boolean]>([
    ['throws', (claims) => (claims.missing as string).includes('|')],
    ['returns a promise', () => Promise.resolve(true) as unknown as boolean],
  ])('cause a ConfigurationError if the function %s', (_what, rule) => {
    expect(() => callerOf(MACHINE, { isMachine: rule })).toThrow(ConfigurationError);
    expect(() => callerOf(USER, { isUser: rule })).toThrow(/isUser/);
  });

  it('cannot change the claims', () => {
    const rule = (claims: Record<string, unknown>): boolean => Reflect.set(claims, 'sub', 'x');
    expect(callerOf(MACHINE, { isMachine: rule })).toBe('unknown');
  });
});

describe('for any claims', () => {
  const NAMES = [
    ...['sub', 'client_id', 'azp', 'cid', 'appid', 'username', 'preferred_username', 'name', 'nonce', 'sid', 'amr'],
    ...['gty', 'grant_type', 'idtyp', 'aut', 'act', 'typ'],
  ];
  const value = fc.oneof(
    fc.constantFrom<unknown>('batch', 'web', 'batch@clients', 'service-account-batch', 'client_credentials', 'pwd'),
    fc.constantFrom<unknown>('', null, 7, true, [], {}, ['pwd'], ['client_credentials', 'password'], { sub: 'batch' }),
    fc.jsonValue({ maxDepth: 2 }),
  );
  const claimsOf = fc.dictionary(fc.constantFrom(...NAMES), value);

  it('isMachine and isUser are never both true, and nothing is thrown', () => {
    fc.assert(
      fc.property(claimsOf, fc.constantFrom('jwt' as const, 'opaque' as const), (claims, format) => {
        expect(callerOf(claims, { format })).not.toBe('both');
      }),
      { numRuns: 2_000 },
    );
  });

  it('a claim of a user never makes isMachine true, and a claim of another type has the effect of an absent one', () => {
    const personal = fc.constantFrom(
      'sid',
      'name',
      'given_name',
      'family_name',
      'nonce',
      'amr',
      'username',
      'act',
      'gty',
    );
    const malformed = fc.constantFrom<unknown>(7, true, {}, [], '', [['x']], [7], { a: 1 });
    fc.assert(
      fc.property(claimsOf, personal, malformed, (claims, name, changed) => {
        const without = { ...claims, [name]: null };
        if (callerOf({ ...without, [name]: changed }) === 'machine') expect(callerOf(without)).toBe('machine');
      }),
      { numRuns: 2_000 },
    );
  });
});
