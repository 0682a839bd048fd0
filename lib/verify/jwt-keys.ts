import { createSecretKey, type KeyObject } from 'node:crypto';
import type { HttpOptions } from '../issuer/http.js';
import { Jwks } from '../issuer/jwks.js';
import { type KeySource, StaticKeySet } from '../issuer/key-set.js';
import type { TenantReports } from '../issuer/request-budget.js';
import { keySetFor } from '../issuer/shared-key-set.js';
import { UpstreamMonitor } from '../issuer/upstream-monitor.js';
import type { Clock } from '../util/clock.js';
import { DEFAULT_TIMEOUT, type JwtVerifierOptions } from './jwt-options.js';
import { DEFAULT_CLOCK_TOLERANCE, globalFetch } from './shared-options.js';

/** The keys for the tokens of one issuer, from where the options say. */
export function createKeySource(options: JwtVerifierOptions, clock: Clock, reports?: TenantReports): KeySource {
  const { secret, jwks, publicKey, keys = {} } = options;
  if (secret !== undefined) {
    const key: KeyObject = createSecretKey(typeof secret === 'string' ? Buffer.from(secret) : secret);
    return new StaticKeySet(() => [key]);
  }
  const ownKeys = publicKey === undefined ? undefined : Jwks.of({ keys: publicKey });
  // Such a key has no id, or not the one of the tokens.
  if (ownKeys !== undefined) return new StaticKeySet((alg) => ownKeys.find(alg, undefined));
  const set = jwks === undefined ? undefined : Jwks.of(jwks);
  if (set !== undefined)
    return new StaticKeySet(
      (alg, kid) => set.find(alg, kid),
      set.keys.map(({ kid }) => kid),
    );
  const monitor = new UpstreamMonitor({
    issuer: options.issuer,
    server: options.issuer,
    clockTolerance: options.clockTolerance ?? DEFAULT_CLOCK_TOLERANCE,
    clock,
    reports,
  });
  const http: HttpOptions = {
    fetch: options.fetch ?? globalFetch,
    timeout: keys.timeout ?? DEFAULT_TIMEOUT,
    maxBytes: keys.maxBytes ?? 1_048_576,
    onResponse: monitor.responded,
  };
  return keySetFor({
    issuer: options.issuer,
    jwksUri: options.jwksUri,
    metadataUrl: options.metadataUrl,
    allowInsecureHttp: options.allowInsecureHttp ?? false,
    allowPrivateAddresses: options.allowPrivateAddresses ?? false,
    http,
    refreshInterval: keys.refreshInterval,
    cooldown: keys.cooldown ?? 30,
    maxStale: keys.maxStale ?? 86_400,
    snapshot: options.keySnapshot,
    clock,
    monitor,
  });
}
