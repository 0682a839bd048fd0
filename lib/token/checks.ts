import { type FailedCheck, InvalidTokenError } from '../errors.js';
import { fixFor, type TokenContext } from './fixes.js';

/** One check of a token. Requests and `explain` run the same lists: a request stops at the first that fails. */
export interface Check<Input> {
  readonly name: string;
  /** @throws InvalidTokenError with a `FailedCheck` as its cause. */
  readonly run: (input: Input) => void;
  /** What the check expects, what the token has, and what is probably a mistake although it passes, for `explain`. */
  readonly describe?: (input: Input) => {
    readonly expected?: unknown;
    readonly found?: unknown;
    readonly note?: string | undefined;
  };
}

/** The result of one check, for `explain`. */
export interface ExplainedCheck {
  readonly name: string;
  /** `'not reached'`: the check depends on one that failed, or cannot run now. */
  readonly state: 'passed' | 'failed' | 'not reached';
  readonly expected: unknown;
  readonly found: unknown;
  /** What to change, for a check that failed, or that passed with a value that is probably a mistake. */
  readonly fix: string | undefined;
}

/** What `explain` returns: every check in order. It makes no decision about a request and caches nothing. */
export interface Explanation {
  /** `undefined`: it cannot be determined now, because the authorization server or a store is unavailable. */
  readonly accepted: boolean | undefined;
  readonly checks: readonly ExplainedCheck[];
}

/** @throws InvalidTokenError of the first check that fails. */
export function runChecks<Input>(checks: readonly Check<Input>[], input: Input): void {
  for (const { run } of checks) run(input);
}

/** Runs all checks. */
export function explainChecks<Input>(
  checks: readonly Check<Input>[],
  input: Input,
  context: TokenContext,
): ExplainedCheck[] {
  return checks.map(({ name, run, describe }) => {
    const failure = failureOf(() => {
      run(input);
    });
    if (failure !== undefined) return failedCheck(name, failure, context);
    const { expected, found, note } = describe?.(input) ?? {};
    return { name, state: 'passed', expected, found, fix: note };
  });
}

/** The error of something that rejects a token; other errors are thrown. */
function failureOf(run: () => void): InvalidTokenError | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof InvalidTokenError) return error;
    throw error;
  }
}

export function passedCheck(name: string, expected?: unknown, found?: unknown): ExplainedCheck {
  return { name, state: 'passed', expected, found, fix: undefined };
}

export function failedCheck(name: string, error: InvalidTokenError, context: TokenContext): ExplainedCheck {
  const failed = failedCheckOf(error);
  const { expected, found } = failed ?? {};
  return { name, state: 'failed', expected, found, fix: fixFor(error.reason, failed, context) ?? error.message };
}

export function notReached(name: string, found?: unknown, fix?: string): ExplainedCheck {
  return { name, state: 'not reached', expected: undefined, found, fix };
}

/** The `FailedCheck` of an error, if it has one. */
export function failedCheckOf(error: Error): FailedCheck | undefined {
  const { cause } = error;
  const isFailedCheck = typeof cause === 'object' && cause !== null && 'checked' in cause && 'expected' in cause;
  return isFailedCheck ? (cause as FailedCheck) : undefined;
}

/** A token is accepted if no check failed; it is unknown if one could not run. */
export function toExplanation(checks: readonly ExplainedCheck[]): Explanation {
  const isRejected = checks.some(({ state }) => state === 'failed');
  const isUnknown = checks.some(({ state }) => state === 'not reached');
  return { accepted: isRejected ? false : isUnknown ? undefined : true, checks };
}
