import type { KeyObject } from 'node:crypto';
import { errors, flattenedVerify } from 'jose';
import type { ParsedJwt } from '../token/jwt.js';

/** Whether the token was signed with one of these keys. */
export async function isSignedWith(keys: readonly KeyObject[], jwt: ParsedJwt): Promise<boolean> {
  const [encodedHeader = '', payload = ''] = jwt.signingInput.split('.');
  for (const key of keys) {
    try {
      await flattenedVerify({ protected: encodedHeader, payload, signature: jwt.signature }, key);
      return true;
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  return false;
}
