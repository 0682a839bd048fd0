import { describe, expect, it } from '@jest/globals';
import { readCredentials } from '../../lib/index.js';

describe('readCredentials', () => {
  it.each([
    ['Bearer abc.def-_~+/==', { scheme: 'Bearer', token: 'abc.def-_~+/==' }],
    ['bearer abc', { scheme: 'Bearer', token: 'abc' }],
    ['DPoP abc', { scheme: 'DPoP', token: 'abc' }],
    ['dpop   abc', { scheme: 'DPoP', token: 'abc' }],
    ['  Bearer abc \n', { scheme: 'Bearer', token: 'abc' }],
  ])('reads %p', (text, credentials) => {
    expect(readCredentials(text)).toEqual(credentials);
  });

  it.each([[''], [' '], ['Basic dXNlcjpwYXNz'], ['Bearerabc'], ['abc'], ['token=abc']])(
    'finds no credentials in %p',
    (text) => {
      expect(() => readCredentials(text)).toThrow(
        expect.objectContaining({ name: 'MissingTokenError', status: 401, reason: 'token_missing' }),
      );
    },
  );

  it('reports that a JWT without a scheme needs one', () => {
    expect(() => readCredentials('eyJhbGciOiJFUzI1NiJ9.e30.c2ln')).toThrow(
      expect.objectContaining({ name: 'MissingTokenError', reason: 'scheme_missing' }),
    );
  });

  it.each([
    ['Bearer', 'malformed_credentials'],
    ['Bearer ', 'malformed_credentials'],
    ['Bearer a b', 'malformed_credentials'],
    ['Bearer a!b', 'malformed_credentials'],
    ['Bearer a\nb', 'malformed_credentials'],
    ['Bearer a, Bearer b', 'several_credentials'],
    ['Basic a, Bearer b', 'several_credentials'],
  ])('rejects %p', (text, reason) => {
    expect(() => readCredentials(text)).toThrow(
      expect.objectContaining({ name: 'InvalidRequestError', status: 400, reason }),
    );
  });

  it.each([[undefined], [null], [5], [['Bearer abc']]])(
    'rejects %p, which is not a string, like a missing token',
    (value) => {
      expect(() => readCredentials(value as unknown as string)).toThrow(
        expect.objectContaining({ name: 'MissingTokenError' }),
      );
    },
  );

  it.each([
    ['Bearer', 'nothing'],
    ['Bearer Bearer abc', 'a second scheme'],
    ['Bearer bearer: abc', 'a second scheme'],
    ['Bearer a b', 'a space'],
    ['Bearer a\tb', 'a tab'],
    ['Bearer\tabc', 'a tab'],
    ['Bearer: abc', 'the character :'],
    ['Bearer/abc', 'the character /'],
    ['Bearer "abc"', 'a quotation mark'],
    ['Bearer {{token}}', 'the character {'],
    ['Bearer a=b', 'padding before the end'],
    ['Bearer ==', 'padding before the end'],
    ['Bearer abc\u2028d', 'a character outside of printable ASCII'],
  ])('tells the operator what is wrong with %p: %s', (text, found) => {
    expect(() => readCredentials(text)).toThrow(
      expect.objectContaining({ reason: 'malformed_credentials', cause: expect.objectContaining({ found }) }),
    );
  });

  it('never includes the token in its errors', () => {
    const secret = 'hush!hush';
    try {
      readCredentials(`Bearer ${secret}`);
    } catch (error) {
      expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain('hush');
    }
    expect.assertions(1);
  });
});
