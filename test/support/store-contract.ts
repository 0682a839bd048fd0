import { expect, it } from '@jest/globals';
import type { Store } from '../../lib/index.js';

function nested(depth: number): unknown {
  let value: unknown = 'the end';
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { next: value };
  return value;
}

const VALUES: [string, unknown][] = [
  ['an empty object', {}],
  ['integers', { largest: 9_007_199_254_740_991, least: -9_007_199_254_740_991, zero: 0, exp: 1_800_000_000 }],
  ['fractions', [0.1, 1e-9, 1.5e300]],
  ['unicode', { 'größe-東京': '🔑\u0000\u2028\ud83d', rtl: '\u202e' }],
  ['null, booleans and empty values', { a: null, b: false, c: '', d: [], e: {} }],
  ['text', 'text'],
  ['a number', 5],
  ['large claims', { roles: Array.from({ length: 20_000 }, (_, i) => `role-${i}-${'x'.repeat(20)}`) }],
  ['deep nesting', nested(1_000)],
  ['names such as __proto__', JSON.parse('{"__proto__":{"a":1},"constructor":2,"toString":3}')],
];

/** What every store must do. */
export function testContract(make: () => Store): void {
  it.each(VALUES)('returns the value that was set: %s', async (_, value) => {
    const store = make();
    await store.set('key', value, 60);
    expect(JSON.stringify(await store.get('key'))).toBe(JSON.stringify(value));
  });

  it('returns undefined for a key that was never set', async () => {
    expect(await make().get('unknown')).toBeUndefined();
  });

  it('returns the last of several values', async () => {
    const store = make();
    await store.set('key', 1, 60);
    await store.set('key', 2, 60);
    expect(await store.get('key')).toBe(2);
  });

  it('returns a value that callers cannot change for others', async () => {
    const store = make();
    const value = { list: [1] };
    await store.set('key', value, 60);
    value.list.push(2);
    const read = (await store.get('key')) as { list: number[] };
    read.list.push(3);
    expect(await store.get('key')).toEqual({ list: [1] });
  });

  it('deletes a value, and ignores a key that does not exist', async () => {
    const store = make();
    await store.set('key', 1, 60);
    await store.delete('key');
    await store.delete('key');
    expect(await store.get('key')).toBeUndefined();
  });

  it('accepts add for exactly one of many callers', async () => {
    const store = make();
    const claims = await Promise.all(Array.from({ length: 100 }, () => store.add('once', 60)));
    expect(claims.filter(Boolean)).toHaveLength(1);
    expect(await store.add('once', 60)).toBe(false);
    expect(await store.add('another', 60)).toBe(true);
  });

  it('accepts a deleted key again', async () => {
    const store = make();
    await store.add('once', 60);
    await store.delete('once');
    expect(await store.add('once', 60)).toBe(true);
  });

  it('returns a value for a key that was added', async () => {
    const store = make();
    await store.add('once', 60);
    expect(await store.get('once')).toBeDefined();
  });

  it('does not add a key that has a value', async () => {
    const store = make();
    await store.set('key', { a: 1 }, 60);
    expect(await store.add('key', 60)).toBe(false);
    expect(await store.get('key')).toEqual({ a: 1 });
  });
}
