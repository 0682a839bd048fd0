import { setMaxListeners } from 'node:events';
import { UpstreamError } from '../errors.js';
import { addressGroup } from '../util/address-group.js';
import { Backoff, MAX_REQUESTED_PAUSE } from '../util/backoff.js';
import type { AuthenticationParts, ClientAuthenticator } from './client-authentication.js';
import { fetchResponse, type HttpOptions, type HttpResponse } from './http.js';
import { HttpError } from './http-error.js';
import type { UpstreamMonitor } from './upstream-monitor.js';
import type { TenantBudget } from './request-budget.js';
import type { Claims } from '../token/claims.js';
import { readIntrospectionResponse, SIGNED_TYPE, type SignedResponseRules } from './introspection-response.js';
import { SingleFlight } from '../util/single-flight.js';
import { ageClockOf, type Clock } from '../util/clock.js';
import { TokenBucket } from '../util/token-bucket.js';
import { ConcurrencyLimiter } from '../util/concurrency-limiter.js';

/** Returns the introspection response (RFC 7662 §2.2) for a token. */
export interface IntrospectionSource {
  /** Callers with different addresses take turns while they wait. */
  introspect(token: string, remoteAddress?: string): Promise<IntrospectionResult>;
}

export interface IntrospectionResult {
  readonly response: Claims & { readonly active: boolean };
  /** When the request was sent, for other processes. Seconds since the epoch. */
  readonly introspectedAt: number;
  /** Time since the request was sent. Seconds. */
  readonly age: number;
}

/** The state of the introspection endpoint. */
export interface IntrospectionHealth {
  /** `unavailable`: the last request failed because of the server, the network or our credentials. */
  readonly state: 'available' | 'unavailable';
  /** Failures since the last success. */
  readonly failures: number;
  /** Why the last request failed; `undefined` after a success. */
  readonly lastError?: unknown;
}

export interface IntrospectionClientOptions {
  readonly endpoint: () => Promise<string>;
  /** Discovers the endpoint again. Only if it is discovered. */
  readonly rediscover?: (() => Promise<string>) | undefined;
  readonly clientAuthenticator: ClientAuthenticator;
  readonly http: HttpOptions;
  /** `undefined` if the response is plain JSON. */
  readonly signed: SignedResponseRules | undefined;
  readonly clock: Clock;
  readonly monitor: UpstreamMonitor;
  /** Limits the requests for a tenant without an accepted token. */
  readonly budget?: TenantBudget | undefined;
}

/** Maximum number of concurrent and of waiting requests: it limits what a flood of forged tokens costs the server. */
const MAX_CONCURRENT = 100;
const MAX_WAITING = 1_000;
/** Maximum number of concurrent requests for a tenant without an accepted token: each takes one from the budget. */
const MAX_CONCURRENT_NEW = 5;
/** Minimum time between two searches for an endpoint that has moved. Seconds. */
const REDISCOVERY_INTERVAL = 30;
/** Minimum time between two probes whether an error is one of the server. Seconds. */
const CHECK_INTERVAL = 30;
/** A token that no server has issued. It tests whether the server is reachable. */
const PROBE = 'reachability-probe';

/**
 * Calls the introspection endpoint. A failure of the server, of the network or of our credentials is an `UpstreamError`.
 *
 * After the server was unreachable, requests pause. A caller's token must not decide that, because one token may break only
 * its own request, and one caller must not cut off the others. So the client sends a probe of its own before it pauses, and
 * before it continues.
 */
export class IntrospectionClient implements IntrospectionSource {
  readonly #options: IntrospectionClientOptions;
  readonly #ageClock: Clock;
  readonly #backoff: Backoff;
  readonly #limiter: ConcurrencyLimiter;
  readonly #closing = new AbortController();
  readonly #probes = new SingleFlight<void>();
  readonly #rediscoveries: TokenBucket;
  readonly #checks: TokenBucket;
  #failures = 0;
  #lastError: unknown;
  /** Whether the server has introspected a token. */
  #hasWorked = false;

  constructor(options: IntrospectionClientOptions) {
    this.#options = options;
    this.#ageClock = ageClockOf(options.clock);
    this.#backoff = new Backoff(this.#ageClock);
    this.#rediscoveries = new TokenBucket({ capacity: 1, interval: REDISCOVERY_INTERVAL, clock: this.#ageClock });
    this.#checks = new TokenBucket({ capacity: 1, interval: CHECK_INTERVAL, clock: this.#ageClock });
    const { timeout } = options.http;
    const limit = (): number => (this.#options.budget?.isNew === true ? MAX_CONCURRENT_NEW : MAX_CONCURRENT);
    this.#limiter = new ConcurrencyLimiter({ limit, maxWaiting: MAX_WAITING, timeout });
    allowManyListeners(this.#closing.signal);
  }

  async introspect(token: string, remoteAddress?: string): Promise<IntrospectionResult> {
    if (this.#backoff.failures > 0) {
      if (this.#backoff.wait > 0 || this.#probes.isRunning('')) throw this.#paused();
      await this.#probe();
    }
    try {
      return await this.#limiter.run(() => this.#introspectOnce(token), addressGroup(remoteAddress));
    } catch (error) {
      if (isUnreachable(error) || isBusy(error)) await this.#probe(error);
      throw error instanceof UpstreamError ? error : this.#unavailable(error);
    }
  }

  async #introspectOnce(token: string): Promise<IntrospectionResult> {
    if (this.#backoff.wait > 0) throw this.#paused();
    const { clock, monitor, budget } = this.#options;
    if (budget?.isNew === true && !budget.take()) {
      const cause = new Error('too many introspections for an issuer without a valid token');
      throw new UpstreamError('introspection_unavailable', budget.wait, { cause });
    }
    const introspectedAt = clock();
    const start = this.#ageClock();
    // Measured in real time, whatever the clock of the options says.
    const sentAt = performance.now();
    const duration = (): number => (performance.now() - sentAt) / 1000;
    try {
      const response = await this.#respondTo(token);
      this.#failures = 0;
      this.#hasWorked = true;
      monitor.introspected({ outcome: response.active ? 'active' : 'inactive', error: undefined }, duration());
      return { response, introspectedAt, age: this.#ageClock() - start };
    } catch (error) {
      monitor.introspected({ outcome: 'failed', error }, duration());
      // An unreachable server may be the fault of this token; a probe finds out.
      if (!isUnreachable(error) && !isBusy(error) && !(await this.#isForOneToken(error))) this.#report(error);
      throw error;
    }
  }

  async #respondTo(token: string): Promise<IntrospectionResult['response']> {
    try {
      return await readIntrospectionResponse(await this.#post(token), this.#options);
    } catch (error) {
      // Some servers respond so for a token that is not theirs.
      const isForeign = error instanceof HttpError && error.code === 'unsupported_token_type';
      if (isForeign) return { active: false };
      throw error;
    }
  }

  /**
   * Finds out whether the failure is one of the server, and not of one token. A 429 counts requests, so it is one of the
   * server, and a probe would only be one request more.
   */
  #probe(failure?: unknown): Promise<void> {
    return this.#probes.run('', async () => {
      const isLimited = isBusy(failure) && failure.status === 429;
      const error = isLimited
        ? failure
        : await this.#post(PROBE).then(
            () => undefined,
            (reason: unknown) => reason,
          );
      if (isBusy(error)) this.#backoff.failed(error.retryAfter);
      else if (isUnreachable(error)) this.#backoff.failed();
      else this.#backoff.reset();
      if (isBusy(error) || isUnreachable(error)) this.#report(error);
    });
  }

  /**
   * Whether a server that works responds with an error to one token only, or that is not known. Callers choose tokens, so they
   * must not choose how often such a server is reported as broken, and how often a probe is sent.
   */
  async #isForOneToken(error: unknown): Promise<boolean> {
    if (!this.#hasWorked || this.#failures > 0 || !(error instanceof HttpError)) return false;
    if (!this.#checks.take()) return true;
    return this.#respondTo(PROBE).then(
      () => true,
      () => false,
    );
  }

  /** What identifies this client to the server. */
  identity(): Promise<string> {
    return this.#options.clientAuthenticator.identity();
  }

  #report(error: unknown): void {
    if (this.#closing.signal.aborted) return;
    this.#failures++;
    this.#lastError = error;
    if (error instanceof HttpError) this.#options.monitor.introspectionFailed(error);
  }

  health(): IntrospectionHealth {
    const failures = this.#failures;
    return failures === 0
      ? { state: 'available', failures }
      : { state: 'unavailable', failures, lastError: this.#lastError };
  }

  /** Loads the metadata, and the keys of signed responses. */
  async ready(): Promise<void> {
    try {
      await this.#options.endpoint();
      await this.#options.signed?.keys.ready();
    } catch (error) {
      this.#report(error);
      throw error instanceof UpstreamError ? error : this.#unavailable(error);
    }
  }

  close(): void {
    this.#closing.abort();
  }

  async #post(token: string): Promise<HttpResponse> {
    const endpoint = await this.#options.endpoint();
    try {
      return await this.#postTo(endpoint, token);
    } catch (error) {
      // The endpoint may have moved. Callers choose tokens, so they must not choose how often the metadata is read.
      const { rediscover } = this.#options;
      if (rediscover === undefined || !isMissing(error) || !this.#rediscoveries.take()) throw error;
      const moved = await rediscover();
      if (moved === endpoint) throw error;
      return this.#postTo(moved, token);
    }
  }

  async #postTo(endpoint: string, token: string): Promise<HttpResponse> {
    const { clientAuthenticator } = this.#options;
    const credentials = await this.#authenticate(endpoint);
    try {
      return await this.#postOnce(token, endpoint, credentials);
    } catch (error) {
      const isRejected = error instanceof HttpError && [400, 401, 403].includes(error.status ?? 0);
      if (!isRejected || !clientAuthenticator.invalidateSecret(credentials)) throw error;
    }
    return this.#postOnce(token, endpoint, await this.#authenticate(endpoint));
  }

  async #authenticate(endpoint: string): Promise<AuthenticationParts> {
    const { clientAuthenticator, monitor } = this.#options;
    try {
      return await clientAuthenticator.authenticate(endpoint);
    } catch (error) {
      monitor.credentialsUnavailable(error);
      throw error;
    }
  }

  #postOnce(token: string, endpoint: string, { headers, form }: AuthenticationParts): Promise<HttpResponse> {
    const { http, signed } = this.#options;
    return fetchResponse(endpoint, http, this.#closing.signal, {
      method: 'POST',
      headers: {
        Accept: signed === undefined ? 'application/json' : SIGNED_TYPE,
        'Content-Type': 'application/x-www-form-urlencoded',
        ...headers,
      },
      body: new URLSearchParams({ token, token_type_hint: 'access_token', ...form }).toString(),
    });
  }

  /** The error during a pause: its cause is what caused the pause. */
  #paused(): UpstreamError {
    const error = this.#lastError;
    const cause = error instanceof UpstreamError ? error.cause : error;
    return new UpstreamError('introspection_unavailable', this.#backoff.wait, { cause });
  }

  #unavailable(cause: unknown): UpstreamError {
    const requested = isBusy(cause) ? Math.min(MAX_REQUESTED_PAUSE, cause.retryAfter ?? 0) : 0;
    return new UpstreamError('introspection_unavailable', Math.max(this.#backoff.wait, requested), { cause });
  }
}

function isUnreachable(error: unknown): boolean {
  return error instanceof HttpError && (error.failure === 'unreachable' || error.failure === 'timeout');
}

/** Whether the server requests a pause. */
function isBusy(error: unknown): error is HttpError {
  return error instanceof HttpError && error.retryAfter !== undefined;
}

function isMissing(error: unknown): boolean {
  if (!(error instanceof HttpError)) return false;
  return isUnreachable(error) || error.failure === 'redirect' || [404, 405, 410].includes(error.status ?? 0);
}

/** Every request in progress has a listener. */
function allowManyListeners(signal: AbortSignal): void {
  try {
    setMaxListeners(0, signal);
  } catch {
    // A signal of jsdom or happy-dom, which has no limit.
  }
}
