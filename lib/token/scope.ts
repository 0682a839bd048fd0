const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/; // RFC 6749 §3.3

/** Whether a value is one scope (RFC 6749 §3.3). */
export function isScope(value: string): boolean {
  return SCOPE.test(value);
}
