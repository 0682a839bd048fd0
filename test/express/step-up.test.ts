import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  ConfigurationError,
  jwtBearer,
  type Middleware,
  requireAuthentication,
  requireAuthorizationDetails,
} from '../../lib/index.js';
import { TestIssuer } from '../../lib/testing/issuer.js';
import { challengesOf, get, serve } from '../support/helpers.js';

let issuer: TestIssuer;

beforeAll(async () => {
  issuer = await TestIssuer.start();
});

afterAll(() => issuer.close());

async function send(gate: Middleware, claims: Record<string, unknown>) {
  const app = serve(jwtBearer({ issuer: issuer.url, audience: issuer.audience }), gate);
  return get(app, await issuer.issue(claims));
}

describe('step-up authentication', () => {
  it.each([
    ['an accepted context', { acrValues: ['gold', 'silver'] }, { acr: 'silver' }],
    ['a recent authentication', { maxAge: 60 }, { ago: 60 }],
    ['a recent authentication with a clock that is ahead', { maxAge: 60 }, { ago: -4 }],
    ['both', { acrValues: ['gold'], maxAge: 60 }, { acr: 'gold', ago: 1 }],
  ])('accepts %s', async (_, options, { ago, ...claims }: { ago?: number; acr?: string }) => {
    const authTime = ago === undefined ? {} : { auth_time: issuer.now - ago };
    expect((await send(requireAuthentication(options), { ...claims, ...authTime })).status).toBe(200);
  });

  it.each([
    ['another context', { acrValues: ['gold'] }, { acr: 'silver' }],
    ['no context', { acrValues: ['gold'] }, {}],
    ['a context in an array', { acrValues: ['gold'] }, { acr: ['gold'] }],
    ['an old authentication', { maxAge: 60 }, { auth_time: 1 }],
    ['an authentication in the future', { maxAge: 60 }, { auth_time: 9_999_999_999 }],
    ['a missing auth_time', { maxAge: 60 }, {}],
    ['an auth_time that is a string', { maxAge: 60 }, { auth_time: '9999999999' }],
    ['the context without the time', { acrValues: ['gold'], maxAge: 60 }, { acr: 'gold' }],
  ])('rejects %s', async (_, options, claims) => {
    const response = await send(requireAuthentication(options), claims);
    expect(response.status).toBe(401);
    expect(response.body).toEqual({
      error: 'insufficient_user_authentication',
      error_description: 'A stronger or more recent authentication of the user is required.',
    });
  });

  it('tells the client which authentication to request from the user', async () => {
    const response = await send(requireAuthentication({ acrValues: ['gold', 'silver'], maxAge: 60 }), {});
    expect(challengesOf(response)).toEqual([
      {
        scheme: 'Bearer',
        parameters: {
          error: 'insufficient_user_authentication',
          error_description: 'A stronger or more recent authentication of the user is required.',
          acr_values: 'gold silver',
          max_age: '60',
        },
      },
    ]);
  });

  it.each([
    ['nothing', {}],
    ['no contexts', { acrValues: [] }],
    ['a context with a space', { acrValues: ['gold silver'] }],
    ['a context with a quote', { acrValues: ['"'] }],
    ['half a second', { maxAge: 0.5 }],
    ['a negative age', { maxAge: -1 }],
    ['an unknown option', { acr: ['gold'] }],
  ])('throws a ConfigurationError for %s', (_, options: object) => {
    expect(() => requireAuthentication(options)).toThrow(ConfigurationError);
  });
});

describe('rich authorization requests', () => {
  const payment = { type: 'payment', amount: 100, actions: ['initiate'] };

  it.each<[string, Middleware, unknown]>([
    ['details of the type', requireAuthorizationDetails('payment'), [payment]],
    ['a matching object among others', requireAuthorizationDetails('payment'), [{ type: 'account' }, payment]],
    [
      'details that the predicate accepts',
      requireAuthorizationDetails('payment', ({ amount }) => amount === 100),
      [payment],
    ],
    [
      'details that an async predicate accepts',
      requireAuthorizationDetails('payment', ({ amount }) => Promise.resolve(amount === 100)),
      [{ type: 'payment', amount: 1 }, payment],
    ],
  ])('accept %s', async (_, gate, details) => {
    expect((await send(gate, { authorization_details: details })).status).toBe(200);
  });

  it.each<[string, Middleware, unknown]>([
    ['no details', requireAuthorizationDetails('payment'), undefined],
    ['another type', requireAuthorizationDetails('payment'), [{ type: 'account' }]],
    ['an object that is not in an array', requireAuthorizationDetails('payment'), payment],
    ['text', requireAuthorizationDetails('payment'), 'payment'],
    [
      'members of wrong types',
      requireAuthorizationDetails('payment'),
      [null, 'payment', ['payment'], {}, { type: ['payment'] }],
    ],
    ['an inherited name', requireAuthorizationDetails('toString'), [{}]],
    ['details that the predicate rejects', requireAuthorizationDetails('payment', () => false), [payment]],
    [
      'a truthy result of the predicate',
      requireAuthorizationDetails('payment', (() => 'yes') as unknown as () => boolean),
      [payment],
    ],
  ])('reject %s', async (_, gate, details) => {
    const response = await send(gate, { authorization_details: details });
    expect(response.status).toBe(403);
    expect(response.body).toMatchObject({ error: 'insufficient_scope' });
  });

  it('pass the error of a predicate to the error handler', async () => {
    const gate = requireAuthorizationDetails('payment', () => Promise.reject(new Error('no database')));
    expect((await send(gate, { authorization_details: [payment] })).status).toBe(500);
  });

  it.each([
    ['no type', () => requireAuthorizationDetails('')],
    [
      'a predicate that is not a function',
      () => requireAuthorizationDetails('payment', true as unknown as () => boolean),
    ],
  ])('throw a ConfigurationError for %s', (_, make) => {
    expect(make).toThrow(ConfigurationError);
  });
});
