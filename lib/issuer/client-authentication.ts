import { hash, randomUUID } from 'node:crypto';
import { signJwt, type SigningKeyOptions } from '../token/private-key.js';
import { hideMessage, UpstreamError } from '../errors.js';
import { Backoff } from '../util/backoff.js';
import { ageClockOf, type Clock } from '../util/clock.js';
import { warnOfDoubt } from '../option-doubts.js';
import { secretDoubt } from '../util/doubt.js';
import { withTimeout } from '../util/timeout.js';
import { systemCodeOf } from './fetch-failure.js';
import type { ClientAuthentication, ClientSecret } from './client-authentication-options.js';

/** What client authentication adds to a request. */
export interface AuthenticationParts {
  readonly headers: Readonly<Record<string, string>>;
  readonly form: Readonly<Record<string, string>>;
  /** Number of the secret that was used: it grows with each rotation. */
  readonly generation: number;
}

export interface ClientAuthenticatorOptions {
  readonly clientId: string | undefined;
  readonly clientSecret: ClientSecret | undefined;
  readonly clientAuthentication: ClientAuthentication;
  /** Audience of the assertion: the issuer, or the endpoint if no issuer is configured. */
  readonly audience: string | undefined;
  /** Deadline of one call of a function from the options. Seconds. */
  readonly timeout: number;
  readonly clock: Clock;
}

/** Lifetime of an assertion. It is used for one request only. Seconds. */
const ASSERTION_LIFETIME = 60;
/** Minimum time between two calls for a secret, because callers may be able to make the server reject us. Seconds. */
const SECRET_COOLDOWN = 5;

/** Authenticates this API at the authorization server. Secrets leave this object only in a request to that server. */
export class ClientAuthenticator {
  readonly #options: ClientAuthenticatorOptions;
  readonly #ageClock: Clock;
  readonly #pause: Backoff;
  #failure: unknown;
  #secret: Promise<string> | undefined;
  #secretReadAt = Number.NEGATIVE_INFINITY;
  #generation = 0;

  constructor(options: ClientAuthenticatorOptions) {
    this.#options = options;
    this.#ageClock = ageClockOf(options.clock);
    this.#pause = new Backoff(this.#ageClock);
  }

  /** Returns the parts for a request to this endpoint. Rejects if a secret or a key is unavailable. */
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
      const token = assertBearerToken(await callFor(method.bearerToken, timeout, 'bearerToken'));
      return { headers: { Authorization: `Bearer ${token}` }, form: {}, generation };
    }
    return { headers: {}, form: await this.#assertion(method, endpoint), generation };
  }

  /**
   * Returns what the server can tell this client by: the digest of the bearer token, or the client id. Rejects if the token is
   * unavailable.
   */
  async identity(): Promise<string> {
    const { clientId = '', clientAuthentication: method, timeout } = this.#options;
    if (typeof method === 'string' || !('bearerToken' in method)) return clientId;
    const token = assertBearerToken(await callFor(method.bearerToken, timeout, 'bearerToken'));
    return hash('sha256', token, 'base64url');
  }

  /**
   * The server rejected these credentials. Returns whether there may be newer ones. A rotated secret is read again, but not
   * for every token that the server rejects.
   */
  invalidateSecret({ generation }: AuthenticationParts): boolean {
    if (typeof this.#options.clientSecret !== 'function') return false;
    // Another caller has already invalidated this secret.
    if (generation !== this.#generation) return true;
    if (this.#ageClock() < this.#secretReadAt + SECRET_COOLDOWN) return false;
    this.#secret = undefined;
    this.#generation++;
    return true;
  }

  #currentSecret(): Promise<string> {
    if (this.#secret !== undefined) return this.#secret;
    this.#secretReadAt = this.#ageClock();
    const { clientSecret = '' } = this.#options;
    const read = typeof clientSecret === 'function' ? clientSecret : (): string => clientSecret;
    const secret = this.#readSecret(read);
    this.#secret = secret;
    secret.catch(() => {
      if (this.#secret === secret) this.#secret = undefined;
    });
    return secret;
  }

  // Every token needs the secret, so a function that fails is called once per pause, and not once per token. The pause
  // begins with the call.
  async #readSecret(read: () => string | Promise<string>): Promise<string> {
    if (this.#pause.wait > 0) throw this.#unavailable();
    const start = this.#ageClock();
    try {
      const secret = await callFor(read, this.#options.timeout, 'clientSecret');
      this.#pause.reset();
      if (typeof this.#options.clientSecret === 'function') warnAboutSecret(secret);
      return secret;
    } catch (error) {
      this.#failure = error;
      this.#pause.failed(0, this.#ageClock() - start);
      throw this.#unavailable();
    }
  }

  #unavailable(): UpstreamError {
    return new UpstreamError('introspection_unavailable', this.#pause.wait, { cause: this.#failure });
  }

  // RFC 7523 §3: issuer and subject are the client; a new `jti` and a short `exp`.
  async #assertion(key: SigningKeyOptions, endpoint: string): Promise<Record<string, string>> {
    const { clientId = '', audience, clock } = this.#options;
    const now = Math.floor(clock());
    const assertion = await signJwt(
      {
        iss: clientId,
        sub: clientId,
        aud: audience ?? endpoint,
        jti: randomUUID(),
        iat: now,
        exp: now + ASSERTION_LIFETIME,
      },
      key,
    );
    return {
      client_id: clientId,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    };
  }
}

/** The string of the options is checked at startup; what a function returns may have been read from a file, too. */
function warnAboutSecret(value: string): void {
  const doubt = secretDoubt(value);
  const got = `a string of ${Buffer.byteLength(value)} bytes from the function`;
  if (doubt !== undefined) warnOfDoubt({ option: 'clientSecret', value, got, doubt });
}

async function callFor(read: () => string | Promise<string>, timeout: number, what: string): Promise<string> {
  const value: unknown = await withTimeout(callHidden(read, what), timeout, what);
  if (typeof value === 'string' && value !== '') return value;
  throw new TypeError(`${what} did not return a string`);
}

/** The message of an error of the function may contain the secret. */
async function callHidden(read: () => string | Promise<string>, what: string): Promise<string> {
  try {
    return await read();
  } catch (error) {
    const failure = error instanceof Error ? error : new Error(`${what} failed`, { cause: error });
    hideMessage(failure, `${what} failed (${systemCodeOf(failure) ?? failure.name})`);
    throw failure;
  }
}

// RFC 6750 §2.1. Checked here, because the error of `fetch` for an invalid header contains the value.
function assertBearerToken(token: string): string {
  if (/^[A-Za-z0-9\-._~+/]+=*$/.test(token)) return token;
  throw new TypeError('bearerToken did not return a bearer token');
}

// RFC 6749 §2.3.1 and appendix B: application/x-www-form-urlencoded, before base64.
function formEncode(value: string): string {
  return new URLSearchParams([['', value]]).toString().slice(1);
}
