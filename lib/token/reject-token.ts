import { makeFailedCheck, InvalidTokenError } from '../errors.js';
import type { InvalidTokenReason } from '../reasons.js';

/** Rejects a token. `cause` of the error is the check that failed. */
export function rejectToken(reason: InvalidTokenReason, checked: string, expected: unknown, found: unknown): never {
  const cause = makeFailedCheck(checked, expected, found);
  throw new InvalidTokenError(reason, { cause });
}
