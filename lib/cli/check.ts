import type { ReportedCheck } from './report.js';

/** A check that did not fail. */
export function passed(name: string, found?: unknown, fix?: string): ReportedCheck {
  return { name, state: 'passed', expected: undefined, found, fix };
}

export function failed(name: string, found: unknown, fix: string, expected?: unknown): ReportedCheck {
  return { name, state: 'failed', expected, found, fix };
}

export function warning(name: string, found: unknown, fix: string): ReportedCheck {
  return { name, state: 'warning', expected: undefined, found, fix };
}

/** Something is absent, and nothing depends on it. */
export function notNeeded(name: string, found: unknown, fix?: string): ReportedCheck {
  return { name, state: 'not needed', expected: undefined, found, fix };
}

/** The check depends on one that failed. */
export function unreached(name: string, fix?: string): ReportedCheck {
  return { name, state: 'not reached', expected: undefined, found: undefined, fix };
}

export function hasFailed(checks: readonly ReportedCheck[]): boolean {
  return checks.some(({ state }) => state === 'failed');
}
