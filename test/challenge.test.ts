import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { challenge, quote } from '../lib/challenge.js';
import { parseChallenges } from './support/helpers.js';

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom('"', '\\', '\r\n', '\u2603', '\u0000', ', Bearer error="x"', '\u{1f600}', '\ud800', 'a', '='),
  }),
  fc.constantFrom('x'.repeat(10_240), '"'.repeat(10_240), '\u2603'.repeat(10_240), ''),
);

/** The text in which each character that is not printable ASCII is a question mark. */
function printable(value: string): string {
  return Array.from({ length: value.length }, (_, i) => value.charCodeAt(i))
    .map((unit) => (unit >= 0x20 && unit <= 0x7e ? String.fromCharCode(unit) : '?'))
    .join('');
}

describe('any text in a challenge', () => {
  it('is unchanged after parsing, if it is printable', () => {
    fc.assert(
      fc.property(text, (value) => {
        const quoted = quote(value);
        expect(quoted).toMatch(/^"[\x20-\x7e]*"$/);
        expect(parseChallenges(`X y=${quoted}`)).toEqual([{ scheme: 'X', parameters: { y: printable(value) } }]);
      }),
      { numRuns: 300 },
    );
  });

  it('adds nothing else to a challenge', () => {
    fc.assert(
      fc.property(
        fc.option(text, { nil: undefined }),
        fc.option(text, { nil: undefined }),
        text,
        (realm, scope, error) => {
          const written = challenge('Bearer', { realm, error, error_description: error, scope });
          const expected = Object.entries({ realm, error, error_description: error, scope }).flatMap(([name, value]) =>
            value === undefined ? [] : [[name, printable(value)]],
          );
          expect(parseChallenges(written)).toEqual([
            { scheme: 'Bearer', parameters: Object.fromEntries(expected) as unknown },
          ]);
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each([
    'Bearer realm=',
    'Bearer realm="a',
    'Bearer realm="a"b',
    'Bearer a="b" c="d"',
    'Bearer a="b",',
    'a b',
    '',
    'Bearer a="é"',
  ])('that is malformed is recognized by these tests: %j', (broken) => {
    expect(() => parseChallenges(broken)).toThrow();
  });
});
