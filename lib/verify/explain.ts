import { InvalidTokenError, UpstreamError } from '../errors.js';
import { type Explanation, failedCheck, notReached, passedCheck, toExplanation } from '../token/checks.js';
import { describeUpstreamError } from '../issuer/upstream-problems.js';
import type { TokenVerifier } from './token-verifier.js';

/** The explanation of any verifier. One without `explain` has one check: its result. */
export async function explainWith(verifier: TokenVerifier, token: string): Promise<Explanation> {
  if (verifier.explain !== undefined) return verifier.explain(token);
  try {
    await verifier.verify(token);
    return toExplanation([passedCheck('verifier of the application')]);
  } catch (error) {
    const name = 'verifier of the application';
    if (error instanceof InvalidTokenError) {
      return toExplanation([failedCheck(name, error, { claims: undefined, segments: 1, now: 0 })]);
    }
    if (error instanceof UpstreamError)
      return toExplanation([notReached(name, undefined, describeUpstreamError(error))]);
    throw error;
  }
}
