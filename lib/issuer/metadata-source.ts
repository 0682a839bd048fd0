import type { Clock } from '../util/clock.js';
import type { TargetRules } from '../util/url.js';
import type { HttpOptions } from './http.js';
import type { HttpError } from './http-error.js';
import { fetchMetadata, type IssuerMetadata, type MetadataLocation } from './metadata.js';
import { type LoadResult, RefreshingResource, type ResourceHealth } from './refreshing-resource.js';
import type { UpstreamMonitor } from './upstream-monitor.js';

export interface MetadataSourceOptions extends TargetRules {
  /** The member that is read. */
  readonly needed?: MetadataLocation['needed'];
  readonly http: HttpOptions;
  /** Seconds. */
  readonly refreshInterval: number | undefined;
  /** Seconds. */
  readonly maxStale: number;
  readonly clock: Clock;
  /** `false` next to a key set, which reads the metadata whenever it refreshes its keys. */
  readonly refreshAhead: boolean;
  /** Reads what an earlier process saved. */
  readonly restore?: (() => Promise<LoadResult<IssuerMetadata> | undefined>) | undefined;
  readonly monitor: UpstreamMonitor;
}

/** The cached metadata of one issuer. */
export class MetadataSource {
  readonly issuer: string;
  readonly #resource: RefreshingResource<IssuerMetadata>;
  #url: string | undefined;

  constructor(options: MetadataSourceOptions) {
    const { issuer, needed, http, restore } = options;
    this.issuer = issuer;
    this.#resource = new RefreshingResource({
      ...options,
      load: async (closing) => {
        const location = { lastUrl: this.#url, needed };
        const { metadata, maxAge, url } = await fetchMetadata(options, http, closing, location);
        this.#url = url;
        return { value: metadata, maxAge };
      },
      restore: restore ?? (() => Promise.resolve(undefined)),
      reason: 'metadata_unavailable',
      document: 'metadata',
    });
  }

  /** A promise if it must be fetched, which rejects with an UpstreamError if there is no metadata that may be used. */
  get(): IssuerMetadata | Promise<IssuerMetadata> {
    return this.#resource.get();
  }

  /** Fetches the metadata again. If that fails, returns the cached metadata. */
  async reload(): Promise<IssuerMetadata> {
    return this.#resource.reload().catch(() => this.#resource.get());
  }

  /** Seconds since the metadata was fetched; `undefined` without metadata. */
  get age(): number | undefined {
    return this.#resource.health().age;
  }

  health(): ResourceHealth {
    return this.#resource.health();
  }

  endPause(): void {
    this.#resource.endPause();
  }

  abortLoads(reason: HttpError): void {
    this.#resource.abortLoad(reason);
  }

  close(): void {
    this.#resource.close();
  }
}
