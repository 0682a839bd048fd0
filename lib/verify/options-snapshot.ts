import { hash, KeyObject } from 'node:crypto';
import { types } from 'node:util';
import { storeRule } from '../store/store.js';
import { isVerifier } from './wrap-verifier.js';

/** Stands for a URL or a key, which have no members. */
class Content {
  readonly text: string;

  constructor(value: URL | KeyObject) {
    this.text = value instanceof URL ? value.href : digestOf(value);
  }
}

/** What stands for an object that is compared by identity. */
const identities = new WeakMap<object, symbol>();

/**
 * A deep copy of options, which `isDeepStrictEqual` compares with later copies: the application may change an object in
 * place. Functions, verifiers, and stores that are instances of a class are compared by identity, everything else by content.
 */
export function snapshotOf(value: unknown, copies = new Map<object, unknown>()): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (copies.has(value)) return copies.get(value);
  if (types.isCryptoKey(value)) return value;
  if (value instanceof URL || value instanceof KeyObject) return new Content(value);
  if (ArrayBuffer.isView(value)) return Buffer.from(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  if (isVerifier(value) || isStoreInstance(value)) return identityOf(value);
  if (Array.isArray(value)) {
    const items: unknown[] = [];
    copies.set(value, items);
    for (const item of value) items.push(snapshotOf(item, copies));
    return items;
  }
  const members = new Map<string, unknown>();
  copies.set(value, members);
  for (const name of Object.getOwnPropertyNames(value)) {
    const member: unknown = Reflect.get(value, name);
    // An option that is undefined counts as left out.
    if (member !== undefined) members.set(name, snapshotOf(member, copies));
  }
  return members;
}

function digestOf(key: KeyObject): string {
  return hash('sha256', key.type === 'secret' ? key.export() : derOf(key), 'base64');
}

function derOf(key: KeyObject): Buffer {
  return key.export({ type: key.type === 'public' ? 'spki' : 'pkcs8', format: 'der' });
}

// The functions of a class are the same for all its instances.
function isStoreInstance(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype !== Object.prototype && prototype !== null && storeRule.parse(value, '') !== undefined;
}

function identityOf(value: object): symbol {
  const known = identities.get(value);
  if (known !== undefined) return known;
  const identity = Symbol('identity');
  identities.set(value, identity);
  return identity;
}
