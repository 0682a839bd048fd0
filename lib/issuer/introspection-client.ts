import { setMaxListeners } from 'node:events';
import { InvalidTokenError, UpstreamError } from '../errors.js';
import { Backoff } from '../util/backoff.js';
import type { AuthenticationParts, ClientAuthenticator } from './client-authentication.js';
import { type Answer, fetchAnswer, HttpError, type HttpOptions, parseObject } from './http.js';
import type { KeySource } from './key-set.js';
import { type Audience, isAccepted } from '../token/audience.js';
import { claim, type Claims, readAudience } from '../token/claims.js';
import { type ParsedJwt, parseJwt } from '../token/parse-jwt.js';
import { checkTimes } from '../token/claim-checks.js';
import { verifySignature } from './verify-signature.js';
import { ConcurrencyLimiter } from '../util/concurrency-limiter.js';

/** Tells what the authorization server says of a token: an introspection response (RFC 7662 §2.2), `active` true or false. */
export interface IntrospectionSource {
  introspect(token: string): Promise<IntrospectionResult>;
}

export interface IntrospectionResult {
  readonly response: Claims & { readonly active: boolean };
  /** When the server was asked. Seconds since the epoch. */
  readonly introspectedAt: number;
}

/** What a signed answer must be (RFC 9701 §5). */
export interface SignedResponseRules {
  readonly keys: KeySource;
  readonly issuer: string;
  /** Our client id and our audiences: `aud` must contain one of them. */
  readonly recipients: readonly Audience[];
  readonly algorithms: ReadonlySet<string>;
}

export interface IntrospectionClientOptions {
  readonly endpoint: () => Promise<string>;
  readonly clientAuthenticator: ClientAuthenticator;
  readonly http: HttpOptions;
  /** `undefined` where the answer is plain JSON. */
  readonly signed: SignedResponseRules | undefined;
  /** Seconds since the epoch. */
  readonly clock: () => number;
}

const SIGNED_TYPE = 'application/token-introspection+jwt';
/** How old a signed answer may be, and how far clocks may differ. Seconds. */
const SIGNED_TIMES = { clockTolerance: 10, maxTokenAge: 300 };

/** How many questions are under way at once, and how many wait: what a flood of made-up tokens may cost the server. */
const MAX_CONCURRENT = 100;
const MAX_WAITING = 1_000;
/** What is asked about to find out whether the server is there. No server has issued it. */
const PROBE = 'reachability-probe';

/**
 * Asks the introspection endpoint. What is wrong with the server, the network or our own credentials is an
 * `UpstreamError` and never the caller's fault.
 *
 * A server that cannot be reached is left alone for a while. Whether that is so is not decided by a caller's token: there
 * may be one that only its own exchange breaks at, and one caller must not cut off the others. So a question of our own
 * is asked before the server is given up, and again before it is trusted.
 */
export class IntrospectionClient implements IntrospectionSource {
  readonly #options: IntrospectionClientOptions;
  readonly #backoff: Backoff;
  readonly #limiter: ConcurrencyLimiter;
  readonly #closing = new AbortController();
  #probing: Promise<void> | undefined;

  constructor(options: IntrospectionClientOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.clock);
    const { timeout } = options.http;
    this.#limiter = new ConcurrencyLimiter({ limit: MAX_CONCURRENT, maxWaiting: MAX_WAITING, timeout });
    // Each question under way listens to it, however many there are.
    setMaxListeners(0, this.#closing.signal);
  }

  async introspect(token: string): Promise<IntrospectionResult> {
    if (this.#backoff.failures > 0) {
      if (this.#backoff.wait > 0 || this.#probing !== undefined) throw this.#unavailable(undefined);
      await this.#probe();
    }
    try {
      return await this.#limiter.run(() => this.#introspectOnce(token));
    } catch (error) {
      if (isUnreachable(error)) await this.#probe();
      throw error instanceof UpstreamError ? error : this.#unavailable(error);
    }
  }

  async #introspectOnce(token: string): Promise<IntrospectionResult> {
    if (this.#backoff.wait > 0) throw this.#unavailable(undefined);
    const introspectedAt = this.#options.clock();
    try {
      return { response: await this.#read(await this.#post(token)), introspectedAt };
    } catch (error) {
      // Some servers tell so of a token of a kind that they would never be asked about: it is not one of theirs.
      const isForeign = error instanceof HttpError && error.code === 'unsupported_token_type';
      if (isForeign) return { response: { active: false }, introspectedAt };
      throw error;
    }
  }

  /** Asks a question of our own, once however many want to know: any answer will do. */
  #probe(): Promise<void> {
    this.#probing ??= this.#post(PROBE)
      .then(
        () => undefined,
        (error: unknown) => error,
      )
      .then((error) => {
        if (isUnreachable(error)) this.#backoff.failed();
        else this.#backoff.succeeded();
        this.#probing = undefined;
      });
    return this.#probing;
  }

  /** Finds out where to ask, and what signed answers are verified with. */
  async ready(): Promise<void> {
    try {
      await this.#options.endpoint();
      await this.#options.signed?.keys.ready();
    } catch (error) {
      throw error instanceof UpstreamError ? error : this.#unavailable(error);
    }
  }

  close(): void {
    this.#closing.abort();
  }

  async #post(token: string): Promise<Answer> {
    const { clientAuthenticator } = this.#options;
    const endpoint = await this.#options.endpoint();
    const credentials = await clientAuthenticator.authenticate(endpoint);
    try {
      return await this.#postOnce(token, endpoint, credentials);
    } catch (error) {
      const isRefused = error instanceof HttpError && [400, 401, 403].includes(error.status ?? 0);
      if (!isRefused || !clientAuthenticator.invalidateSecret(credentials)) throw error;
    }
    return this.#postOnce(token, endpoint, await clientAuthenticator.authenticate(endpoint));
  }

  #postOnce(token: string, endpoint: string, { headers, form }: AuthenticationParts): Promise<Answer> {
    const { http, signed } = this.#options;
    return fetchAnswer(endpoint, http, this.#closing.signal, {
      method: 'POST',
      headers: {
        Accept: signed === undefined ? 'application/json' : SIGNED_TYPE,
        'Content-Type': 'application/x-www-form-urlencoded',
        ...headers,
      },
      body: new URLSearchParams({ token, token_type_hint: 'access_token', ...form }).toString(),
    });
  }

  async #read({ body, type }: Answer): Promise<IntrospectionResult['response']> {
    const { signed } = this.#options;
    if (signed !== undefined && type !== SIGNED_TYPE) throw new HttpError('invalid', `the answer is of type ${type}`);
    const response = signed === undefined ? parseObject(body) : await this.#readSigned(body, signed);
    const active = response === undefined ? undefined : claim(response, 'active');
    // RFC 7662 §2.2: a boolean. Anything else is no introspection response, whatever it looks like.
    if (response === undefined || typeof active !== 'boolean') {
      throw new HttpError('invalid', 'the answer is no introspection response');
    }
    return { ...response, active };
  }

  async #readSigned(body: string, signed: SignedResponseRules): Promise<Claims | undefined> {
    const jwt = parseSigned(body, this.#options.http.maxBytes);
    const { header, claims } = jwt;
    const isOurs =
      header.typ?.toLowerCase().replace(/^application\//, '') === 'token-introspection+jwt' &&
      signed.algorithms.has(header.alg) &&
      header.crit === undefined &&
      claim(claims, 'iss') === signed.issuer &&
      typeof claim(claims, 'iat') === 'number' &&
      readAudience(claims).some((each) => isAccepted(each, signed.recipients));
    if (!isOurs)
      throw new HttpError('invalid', 'the signed answer is not of this issuer, for us, or of the right form');
    try {
      checkTimes(claims, SIGNED_TIMES, this.#options.clock());
      await verifySignature(jwt, signed.keys);
    } catch (cause) {
      if (!(cause instanceof InvalidTokenError)) throw cause;
      throw new HttpError('invalid', 'the signed answer does not verify', { cause });
    }
    const info = claim(claims, 'token_introspection');
    return typeof info === 'object' && info !== null && !Array.isArray(info) ? (info as Claims) : undefined;
  }

  #unavailable(cause: unknown): UpstreamError {
    return new UpstreamError('introspection_unavailable', this.#backoff.wait, { cause });
  }
}

function isUnreachable(error: unknown): boolean {
  return error instanceof HttpError && (error.failure === 'unreachable' || error.failure === 'timeout');
}

function parseSigned(body: string, maxBytes: number): ParsedJwt {
  try {
    return parseJwt(body, maxBytes);
  } catch (cause) {
    throw new HttpError('invalid', 'the signed answer is no JWT', { cause });
  }
}
