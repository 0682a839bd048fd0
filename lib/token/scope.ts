import { placeholderDoubt, separatorDoubt } from '../util/doubt.js';

const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/; // RFC 6749 §3.3

/** Whether a value is one scope (RFC 6749 §3.3). */
export function isScope(value: string): boolean {
  return SCOPE.test(value);
}

/** The doubt about a scope that is probably a list. Scopes may contain these characters. */
export function scopeDoubt(value: unknown): string | undefined {
  const isList = typeof value === 'string' && /[\w./-][,;|][\w./-]/.test(value);
  if (isList) return `${JSON.stringify(value)} looks like several scopes in one text. Pass each as a text of its own.`;
  return separatorDoubt(value) ?? placeholderDoubt(value);
}
