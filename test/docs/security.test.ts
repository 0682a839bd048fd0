import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ROOT } from '../support/type-check.js';

const SECTION = /^## The JWT best current practice$(.*?)^## /ms;

const text = readFileSync(join(ROOT, 'SECURITY.md'), 'utf8');
const rows = (SECTION.exec(text)?.[1] ?? '').split('\n').filter((line) => /^\| \d/.test(line));

describe('the table of the JWT best current practice', () => {
  it('has every section of RFC 8725 and of its successor', () => {
    const numbers = (chapter: number, count: number): string[] =>
      Array.from({ length: count }, (_, i) => `${chapter}.${i + 1}`);
    expect(rows.map((row) => /^\| (\d\.\d+) /.exec(row)?.[1])).toEqual([...numbers(2, 13), ...numbers(3, 15)]);
  });

  it('names a test, or says that the section does not apply', () => {
    for (const row of rows) expect(row).toMatch(/`test\/[\w/-]+\.test\.ts`|does not apply/);
  });
});

it('SECURITY.md names test files that exist', () => {
  const files = [...text.matchAll(/`(test\/[^`]+)`/g)].map(([, file = '']) => file);
  expect(files.length).toBeGreaterThan(20);
  for (const file of files) expect({ file, exists: existsSync(join(ROOT, file)) }).toEqual({ file, exists: true });
});
