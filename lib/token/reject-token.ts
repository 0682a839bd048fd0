import { type FailedCheck, InvalidTokenError } from '../errors.js';
import type { InvalidTokenReason } from '../reasons.js';

/** Refuses a token, and says on the error's `cause` what that rests on. */
export function rejectToken(reason: InvalidTokenReason, checked: string, expected: unknown, found: unknown): never {
  const cause: FailedCheck = { checked, expected, found };
  throw new InvalidTokenError(reason, { cause });
}
