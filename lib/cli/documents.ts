import { fetchJson, type HttpOptions, type JsonResponse } from '../issuer/http.js';
import { fetchMetadata, type IssuerMetadata, metadataUrls } from '../issuer/metadata.js';
import { upstreamProblem } from '../issuer/upstream-problems.js';
import { DEFAULT_CLOCK_TOLERANCE, globalFetch } from '../verify/shared-options.js';
import { differenceBetween } from '../token/fixes.js';
import { describeCauses } from '../util/causes.js';
import { failed, notNeeded, passed, unreached } from './check.js';
import type { ReportedCheck } from './report.js';

/** What the command notes of the responses of the server. */
export class Observer {
  readonly #cacheControl = new Map<string, string | null>();
  #difference: number | undefined;
  readonly #timeout: number;

  /** @param timeout - Deadline of one request. Seconds. */
  constructor(timeout: number) {
    this.#timeout = timeout;
  }

  get http(): HttpOptions {
    return {
      fetch: async (url, init) => {
        const before = Date.now();
        const response = await globalFetch(url, init);
        const date = Date.parse(response.headers.get('date') ?? '');
        // `Date` has whole seconds, so on average it is half a second behind.
        if (!Number.isNaN(date)) this.#difference ??= (date + 500 - (before + Date.now()) / 2) / 1000;
        this.#cacheControl.set(url, response.headers.get('cache-control'));
        return response;
      },
      timeout: this.#timeout,
      maxBytes: 1_048_576,
    };
  }

  cacheControl(url: string): string | null | undefined {
    return this.#cacheControl.get(url);
  }

  /** Seconds that the clock of the server is ahead of the clock of this machine. */
  get clockDifference(): number | undefined {
    return this.#difference;
  }
}

/** The fix of a check whose cause another one shows. */
export const SEE_METADATA = 'See the check metadata.';

export interface MetadataResult {
  readonly checks: readonly ReportedCheck[];
  readonly metadata: IssuerMetadata | undefined;
  /** All members of the document. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** Both well-known addresses, and what the package makes of them. */
export async function checkMetadata(
  issuer: string,
  allowInsecureHttp: boolean,
  http: HttpOptions,
): Promise<MetadataResult> {
  const attempts = await Promise.all(metadataUrls(issuer).map((url) => attempt(url, http)));
  try {
    const rules = { issuer, allowInsecureHttp, allowPrivateAddresses: false };
    const { metadata } = await fetchMetadata(rules, http, new AbortController().signal);
    const used = attempts.find(({ json }) => json?.issuer === issuer);
    const addresses = attempts.map(({ url, json, problem }) =>
      json?.issuer === issuer
        ? passed(url)
        : notNeeded(
            url,
            problem ?? `metadata of the issuer ${String(json?.issuer)}`,
            'The other address is sufficient.',
          ),
    );
    return { checks: [...addresses, passed('metadata', metadata.issuer)], metadata, raw: used?.json ?? {} };
  } catch (error) {
    const addresses = attempts.map(({ url, json, problem }) =>
      json === undefined ? failed(url, problem, SEE_METADATA) : passed(url),
    );
    return { checks: [...addresses, metadataFailure(issuer, attempts, error)], metadata: undefined, raw: {} };
  }
}

interface Attempt {
  readonly url: string;
  readonly json: Readonly<Record<string, unknown>> | undefined;
  readonly problem: string | undefined;
}

async function attempt(url: string, http: HttpOptions): Promise<Attempt> {
  try {
    const { json }: JsonResponse = await fetchJson(url, http);
    return { url, json, problem: undefined };
  } catch (error) {
    return { url, json: undefined, problem: describeCauses(error) };
  }
}

function metadataFailure(issuer: string, attempts: readonly Attempt[], error: unknown): ReportedCheck {
  const other = attempts.find(({ json }) => json !== undefined)?.json?.issuer;
  if (typeof other !== 'string') {
    return failed(
      'metadata',
      describeCauses(error),
      upstreamProblem(error, 'metadata').fix,
      'metadata at one of both addresses',
    );
  }
  const difference = differenceBetween(issuer, other);
  const fix =
    difference === undefined
      ? 'The server names another issuer. Use its value, if tokens have it in the claim iss.'
      : `They differ only by ${difference}. Use exactly the value of the server: its tokens have it in the claim iss.`;
  return failed('metadata', other, fix, issuer);
}

/** The difference of the clocks, by the `Date` header of a response. */
export function checkClock(difference: number | undefined): ReportedCheck {
  if (difference === undefined) return unreached('clock', 'No response has a Date header.');
  const size = Math.abs(Math.round(difference));
  const direction = difference > 0 ? 'ahead of' : 'behind';
  const found = size <= 1 ? 'less than 2 seconds apart' : `the server is ${size} seconds ${direction} this machine`;
  const expected = `at most ${DEFAULT_CLOCK_TOLERANCE} seconds, the default of clockTolerance`;
  const fix = 'Synchronize both clocks with NTP. Otherwise new tokens are rejected, or expired ones accepted.';
  return size > DEFAULT_CLOCK_TOLERANCE ? failed('clock', found, fix, expected) : passed('clock', found);
}

/** What the metadata says about sender-constrained tokens. */
export function checkSenderConstraint(raw: Readonly<Record<string, unknown>>): ReportedCheck[] {
  const algorithms = raw.dpop_signing_alg_values_supported;
  return [
    Array.isArray(algorithms) && algorithms.length > 0
      ? passed('DPoP', algorithms)
      : notNeeded('DPoP', 'not announced'),
    raw.tls_client_certificate_bound_access_tokens === true
      ? passed('mutual TLS', 'tokens are bound to client certificates')
      : notNeeded('mutual TLS', 'not announced'),
  ];
}
