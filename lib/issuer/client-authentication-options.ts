import { createPrivateKey, type JsonWebKeyInput } from 'node:crypto';
import { types } from 'node:util';
import type { Rule } from '../options.js';
import { ASYMMETRIC } from '../token/algorithms.js';
import type { Jwk, WebCryptoKey } from '../token/jwk-types.js';
import { isPlainObject } from '../util/is-plain-object.js';

/** How the API proves to the authorization server who it is (RFC 6749 §2.3, RFC 7523 §2.2, RFC 8705 §2, RFC 7662 §2.1). */
export type ClientAuthentication =
  | 'client_secret_basic'
  | 'client_secret_post'
  | 'tls_client_auth'
  | {
      /** A JWK, PKCS #8 in PEM, or a CryptoKey that can sign. */
      readonly privateKey: Jwk | string | WebCryptoKey;
      /** The signature algorithm, such as `'ES256'`. */
      readonly algorithm: string;
    }
  | {
      /** Returns the access token for the introspection endpoint. It is called for every request, so cache the token. */
      readonly bearerToken: () => string | Promise<string>;
    };

/** A secret, or a function that returns the current one. */
export type ClientSecret = string | (() => string | Promise<string>);

export const clientSecretRule: Rule<ClientSecret> = {
  expected: 'a non-empty string, or a function that returns one',
  fix: 'Read it from your secret storage, or pass a function that does.',
  secret: true,
  parse: (value) =>
    typeof value === 'function' || (typeof value === 'string' && value !== '') ? (value as ClientSecret) : undefined,
};

export const clientAuthenticationRule: Rule<ClientAuthentication> = {
  expected:
    "'client_secret_basic', 'client_secret_post', 'tls_client_auth', { privateKey, algorithm } or { bearerToken }",
  fix: 'Use the method that is registered for this API at the authorization server.',
  secret: true,
  parse: parseClientAuthentication,
};

function parseClientAuthentication(value: unknown): ClientAuthentication | undefined {
  const names = ['client_secret_basic', 'client_secret_post', 'tls_client_auth'] as const;
  if (typeof value === 'string') return names.find((name) => name === value);
  if (!isPlainObject(value)) return undefined;
  const { privateKey, algorithm, bearerToken, ...others } = value;
  if (Object.keys(others).length > 0) return undefined;
  if (privateKey === undefined) {
    return typeof bearerToken === 'function' && algorithm === undefined ? (value as ClientAuthentication) : undefined;
  }
  const isKnown = ASYMMETRIC.some((each) => each === algorithm);
  return isKnown && bearerToken === undefined && isPrivateKey(privateKey) ? (value as ClientAuthentication) : undefined;
}

export function isPrivateKey(key: unknown): boolean {
  if (isCryptoKey(key)) return key.type === 'private' && key.usages.includes('sign');
  try {
    const input = typeof key === 'string' ? key : ({ key, format: 'jwk' } as JsonWebKeyInput);
    return createPrivateKey(input).type === 'private';
  } catch {
    return false;
  }
}

function isCryptoKey(key: unknown): key is WebCryptoKey {
  return typeof key === 'object' && key !== null && types.isCryptoKey(key);
}
