import type { Rule } from '../options.js';
import { describeSigningKey, readSigningKey, type SigningKeyOptions } from '../token/private-key.js';
import { secretDoubt } from '../util/doubt.js';
import { settingMistake } from '../util/setting.js';
import { isPlainObject } from '../util/is-plain-object.js';

/** How the API proves to the authorization server who it is (RFC 6749 §2.3, RFC 7523 §2.2, RFC 8705 §2, RFC 7662 §2.1). */
export type ClientAuthentication =
  | 'client_secret_basic'
  | 'client_secret_post'
  | 'tls_client_auth'
  | SigningKeyOptions
  | {
      /** Returns the access token for the introspection endpoint. It is called for every request, so cache the token. */
      readonly bearerToken: () => string | Promise<string>;
    };

/** A secret, or a function that returns the current one. */
export type ClientSecret = string | (() => string | Promise<string>);

export const clientSecretRule: Rule<ClientSecret> = {
  expected: 'a non-empty string, or a function that returns one',
  fix: 'Read it from your secret storage, or pass a function that does.',
  hint: secretMistake,
  doubt: secretDoubt,
  secret: true,
  parse: (value) => {
    const isText = typeof value === 'string' && value !== '' && secretMistake(value) === undefined;
    return isText || typeof value === 'function' ? (value as ClientSecret) : undefined;
  },
};

// A secret may contain white space and quotes, but no file that holds one ends it with a line break on purpose.
function secretMistake(value: unknown): string | undefined {
  const isSuspicious = typeof value === 'string' && (/[\r\n]$/.test(value) || /^[\w [\]]+$/.test(value));
  return isSuspicious && !/^ | $/.test(value) ? settingMistake(value) : undefined;
}

export const clientAuthenticationRule: Rule<ClientAuthentication> = {
  expected:
    "'client_secret_basic', 'client_secret_post', 'tls_client_auth', { privateKey, algorithm, keyId? } or { bearerToken }",
  fix: 'Use the method that is registered for this API at the authorization server.',
  hint: (value) => (isPlainObject(value) && value.privateKey !== undefined ? describeSigningKey(value) : undefined),
  secret: true,
  parse: parseClientAuthentication,
};

function parseClientAuthentication(value: unknown): ClientAuthentication | undefined {
  const names = ['client_secret_basic', 'client_secret_post', 'tls_client_auth'] as const;
  if (typeof value === 'string') return names.find((name) => name === value);
  if (!isPlainObject(value)) return undefined;
  const { privateKey, algorithm, keyId, bearerToken, ...others } = value;
  if (Object.keys(others).length > 0) return undefined;
  if (bearerToken === undefined) return readSigningKey(value);
  const isAlone = [privateKey, algorithm, keyId].every((each) => each === undefined);
  return typeof bearerToken === 'function' && isAlone ? (value as ClientAuthentication) : undefined;
}
