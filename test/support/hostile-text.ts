import { inspect } from 'node:util';
import { expect } from '@jest/globals';
import fc from 'fast-check';

/** C0, DEL, C1, separators of lines, controls of the direction of writing, and halves of surrogate pairs. */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]/u;
/** The first characters of a line that a caller tries to write into a log. */
const FORGED = 'FORGED';

const PIECES = [
  ...['\n', '\r\n', '\t', '\u0000', '\u0007', '\u001b[2J', '\u007f', '\u0085', '\u009b31m', '\u2028', '\u2029'],
  ...['\u202a', '\u202e', '\u2066', '\u2069', '\u200f', '\u061c', '\ud800', '\udc00', FORGED, '\ufeff'],
  ...['a', '"', '\\', "'", '%s', '\\u000a', ' | ', 'é', '🔑', '京', 'x'.repeat(300)],
];

/** Text that forges lines of a log, or shows them in another order, if it is not escaped. */
export const hostileText = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 10 }).map((all) => all.join('')),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }) },
);

/** The same with the characters that Node accepts in a header field or a path: U+0021 to U+00FF. */
export const hostileBytes = fc
  .array(fc.oneof(fc.integer({ min: 0x21, max: 0xff }), fc.constantFrom(0x7f, 0x85, 0x9b)), {
    minLength: 1,
    maxLength: 20,
  })
  .map((codes) => String.fromCharCode(...codes.filter((code) => code !== 0x7f)).replace(/[?#]/g, ''))
  .map((text) => (text === '' ? '\u009b' : text));

/** Expects that a text shows no secret, and that a caller did not choose its control characters. `\n` ends its lines. */
export function expectSafe(name: string, text: string, secrets: readonly string[]): void {
  for (const line of text.split('\n')) {
    if (UNSAFE.test(line) || line.startsWith(FORGED)) throw new Error(`${name}: ${JSON.stringify(text)}`);
  }
  for (const secret of secrets) {
    if (secret.length >= 16 && text.includes(secret)) throw new Error(`${name} contains ${secret}: ${text}`);
  }
  expect(text).toBeDefined();
}

/** Every usual way to print an error. */
export function viewsOfError(error: Error): Record<string, string> {
  return {
    'error.message': error.message,
    'String(error)': String(error),
    'error.stack': String(error.stack),
    'console.log(error)': inspect(error),
    'console.log with colors': inspect(error, { colors: true }).replace(/\u001b\[\d+m/g, ''), // eslint-disable-line no-control-regex
    'console.log of an object with it': inspect({ error }),
    "console.log('%o')": inspect(error, { showHidden: true, showProxy: true, depth: 4 }),
    'JSON.stringify(error)': JSON.stringify(error),
    'JSON.stringify of all members': JSON.stringify(error, Object.getOwnPropertyNames(error)),
  };
}
