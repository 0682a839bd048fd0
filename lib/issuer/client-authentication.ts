import { randomUUID } from 'node:crypto';
import { type CryptoKey, importJWK, importPKCS8, type JWK, SignJWT } from 'jose';
import type { Jwk, WebCryptoKey } from '../token/jwk-types.js';
import { withTimeout } from '../util/timeout.js';
import type { ClientAuthentication, ClientSecret } from './client-authentication-options.js';

/** What authentication adds to a request. */
export interface AuthenticationParts {
  readonly headers: Readonly<Record<string, string>>;
  readonly form: Readonly<Record<string, string>>;
  /** Which of our secrets, one after the other, was used. */
  readonly generation: number;
}

export interface ClientAuthenticatorOptions {
  readonly clientId: string | undefined;
  readonly clientSecret: ClientSecret | undefined;
  readonly clientAuthentication: ClientAuthentication;
  /** Who the assertion is for: the issuer, or the endpoint where no issuer is configured. */
  readonly audience: string | undefined;
  /** How long a function of the user's may take. Seconds. */
  readonly timeout: number;
  /** Seconds since the epoch. */
  readonly clock: () => number;
}

/** How long an assertion of ours is good for: only as long as one request takes. Seconds. */
const ASSERTION_LIFETIME = 60;
/** Least time between two questions for a secret: callers may be able to make the server refuse us. Seconds. */
const SECRET_COOLDOWN = 5;

/** Authenticates the API at the authorization server. Holds secrets and shows them to nobody else. */
export class ClientAuthenticator {
  readonly #options: ClientAuthenticatorOptions;
  #secret: Promise<string> | undefined;
  #secretAskedAt = Number.NEGATIVE_INFINITY;
  #generation = 0;
  #key: Promise<CryptoKey | Uint8Array> | undefined;

  constructor(options: ClientAuthenticatorOptions) {
    this.#options = options;
  }

  /** The parts that a request to this endpoint needs. Rejects where a secret or a key cannot be had. */
  async authenticate(endpoint: string): Promise<AuthenticationParts> {
    const { clientId = '', clientAuthentication: method, timeout } = this.#options;
    const generation = this.#generation;
    if (method === 'tls_client_auth') return { headers: {}, form: { client_id: clientId }, generation };
    if (method === 'client_secret_post') {
      return { headers: {}, form: { client_id: clientId, client_secret: await this.#currentSecret() }, generation };
    }
    if (method === 'client_secret_basic') {
      const credentials = `${formEncode(clientId)}:${formEncode(await this.#currentSecret())}`;
      const Authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
      return { headers: { Authorization }, form: {}, generation };
    }
    if ('bearerToken' in method) {
      const token = assertBearerToken(await askFor(method.bearerToken, timeout, 'bearerToken'));
      return { headers: { Authorization: `Bearer ${token}` }, form: {}, generation };
    }
    return { headers: {}, form: await this.#assertion(method, endpoint), generation };
  }

  /**
   * The server refused these credentials: whether there may be others by now. A secret that was rotated is asked for
   * again, but not for every caller whose token the server dislikes.
   */
  invalidateSecret({ generation }: AuthenticationParts): boolean {
    if (typeof this.#options.clientSecret !== 'function') return false;
    // Another caller has found that out before.
    if (generation !== this.#generation) return true;
    if (this.#options.clock() < this.#secretAskedAt + SECRET_COOLDOWN) return false;
    this.#secret = undefined;
    this.#generation++;
    return true;
  }

  #currentSecret(): Promise<string> {
    if (this.#secret !== undefined) return this.#secret;
    this.#secretAskedAt = this.#options.clock();
    const { clientSecret = '', timeout } = this.#options;
    const asked = askFor(
      typeof clientSecret === 'function' ? clientSecret : () => clientSecret,
      timeout,
      'clientSecret',
    );
    this.#secret = asked;
    asked.catch(() => {
      if (this.#secret === asked) this.#secret = undefined;
    });
    return asked;
  }

  // RFC 7523 §3: issuer and subject are the client; fresh `jti`, short `exp`.
  async #assertion(
    { privateKey, algorithm }: { privateKey: Jwk | string | WebCryptoKey; algorithm: string },
    endpoint: string,
  ): Promise<Record<string, string>> {
    const { clientId = '', audience, clock } = this.#options;
    this.#key ??= importPrivateKey(privateKey, algorithm);
    const now = Math.floor(clock());
    const kid = typeof privateKey === 'object' && isJwk(privateKey) ? privateKey.kid : undefined;
    const assertion = await new SignJWT({ jti: randomUUID() })
      .setProtectedHeader({ alg: algorithm, ...(kid === undefined ? {} : { kid }) })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(audience ?? endpoint)
      .setIssuedAt(now)
      .setExpirationTime(now + ASSERTION_LIFETIME)
      .sign(await this.#key);
    return {
      client_id: clientId,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    };
  }
}

async function askFor(give: () => string | Promise<string>, timeout: number, what: string): Promise<string> {
  const value: unknown = await withTimeout(Promise.resolve(give()), timeout, what);
  if (typeof value === 'string' && value !== '') return value;
  throw new TypeError(`${what} gave no text`);
}

// RFC 6750 §2.1. Checked here, because `fetch` would show a header value that it refuses in its error.
function assertBearerToken(token: string): string {
  if (/^[A-Za-z0-9\-._~+/]+=*$/.test(token)) return token;
  throw new TypeError('bearerToken gave what is no bearer token');
}

async function importPrivateKey(key: Jwk | string | WebCryptoKey, algorithm: string): Promise<CryptoKey | Uint8Array> {
  if (typeof key === 'string') return importPKCS8(key, algorithm);
  return isJwk(key) ? importJWK(key as JWK, algorithm) : (key as CryptoKey);
}

function isJwk(key: Jwk | WebCryptoKey): key is Jwk {
  return 'kty' in key;
}

// RFC 6749 §2.3.1 and appendix B: application/x-www-form-urlencoded, before base64.
function formEncode(value: string): string {
  return new URLSearchParams([['', value]]).toString().slice(1);
}
