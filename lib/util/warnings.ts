import type { Clock } from './clock.js';
import { escapeControls, truncate } from './escape.js';
import { TokenBucket } from './token-bucket.js';

const MAX_LENGTH = 2_000;

/**
 * Emits a process warning: one line in the console of every process, without any code. The code is stable;
 * `docs/errors.md` explains each.
 */
export function warn(code: string, message: string): void {
  process.emitWarning(truncate(escapeControls(message), MAX_LENGTH), { type: 'ResourceServerWarning', code });
}

/** What is wrong with something that a verifier depends on. */
export interface Problem {
  /** The code of the warning. When the problem ends, the code of that warning is `<code>_RESOLVED`. */
  readonly code: string;
  /** Distinguishes the causes of one code. A problem with the same code and cause does not cause a second warning. */
  readonly cause: string;
  /** The text of the warning. `since` is the time of the first failure, in seconds since the epoch. */
  readonly describe: (since: number) => string;
}

interface ActiveProblem {
  readonly code: string;
  readonly cause: string;
  /** Seconds since the epoch. */
  readonly since: number;
}

/** How many warnings about problems are possible in a row, and the seconds until a further one is. */
const BUDGET = { capacity: 30, interval: 60 };

/**
 * The state of everything that one verifier depends on. A warning appears when a problem begins, when its cause changes
 * and when it ends, and never per request.
 */
export class WarningStates {
  readonly #clock: Clock;
  readonly #active = new Map<string, ActiveProblem>();
  // A dependency that changes its state all the time must not fill the log.
  readonly #budget: TokenBucket;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#budget = new TokenBucket({ ...BUDGET, clock });
  }

  /**
   * Records a problem of one subject. Warns if it is another one than before, and no other subject has the same: an outage
   * affects several subjects, but it is one cause.
   */
  begin(subject: string, { code, cause, describe }: Problem): void {
    const before = this.#active.get(subject);
    if (before?.code === code && before.cause === cause) return;
    const isKnown = this.#isActive(code, cause);
    if (!isKnown && !this.#budget.take()) return;
    const since = before?.since ?? this.#clock();
    this.#active.set(subject, { code, cause, since });
    if (!isKnown) warn(code, describe(since));
  }

  /**
   * Records that a subject has no problem. Warns if it had one, and no other subject still has it. `describe` receives the
   * code, and the seconds that the problem lasted.
   */
  end(subject: string, describe: (code: string, seconds: number) => string): void {
    const before = this.#active.get(subject);
    if (before === undefined) return;
    this.#active.delete(subject);
    const { code, cause, since } = before;
    if (this.#isActive(code, cause)) return;
    warn(`${code}_RESOLVED`, describe(code, Math.max(0, Math.round(this.#clock() - since))));
  }

  #isActive(code: string, cause: string): boolean {
    return [...this.#active.values()].some((each) => each.code === code && each.cause === cause);
  }
}
