import { isInMilliseconds } from '../token/claim-checks.js';
import { warn } from '../util/warnings.js';
import { isInResolver } from './instances.js';

/** More warnings than this are not written: a process may have many verifiers. */
const MAX_WARNINGS = 100;
let warnings = 0;

/** Looks at the `exp` of each accepted token. */
export type ExpiryWatch = (expiresAt: number | undefined) => void;

/**
 * Warns once per verifier if the authorization server writes `exp` in milliseconds. Such a token is valid: RFC 7519 has no
 * latest time.
 */
export function createExpiryWatch(server: string): ExpiryWatch {
  // Tenants that are found at run time are not part of the configuration.
  let isDone = isInResolver();
  return (expiresAt) => {
    if (isDone || !isInMilliseconds(expiresAt) || warnings >= MAX_WARNINGS) return;
    isDone = true;
    warnings++;
    warn(
      'ERS_EXP_IN_MILLISECONDS',
      `The authorization server ${server} writes exp in milliseconds. exp is in seconds (RFC 7519 §4.1.4), so its tokens practically never expire. ` +
        'Configure the server to write seconds. Until then, maxTokenAge of jwtVerifier limits the age of tokens by iat.',
    );
  };
}
