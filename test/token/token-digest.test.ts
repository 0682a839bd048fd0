import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { digestIn, RequestDigest, tokenDigest } from '../../lib/token/token-digest.js';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64');

describe('the digest of a token', () => {
  test('is its SHA-256', () => {
    expect(tokenDigest('a.b.c')).toBe(sha256('a.b.c'));
  });

  test('is that of each token, also if a verifier passes several in one context', () => {
    const context = new RequestDigest();
    const tokens = ['first', 'second', 'second', 'first', ''];
    expect(tokens.map((token) => digestIn(context, token))).toEqual(tokens.map(sha256));
  });

  test.each([undefined, {}, { of: () => 'made up' }])('does not come from the context %p of a caller', (context) => {
    expect(digestIn(context, 'token')).toBe(sha256('token'));
  });

  test.each([undefined, null, 1, {}])('of %p, which is not a string, is not a key of a cache', (value) => {
    const context = new RequestDigest();
    expect(digestIn(context, value as string)).toBe('');
    expect(tokenDigest(value as string)).toBe('');
  });
});
