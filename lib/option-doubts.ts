/** Valid values of options that are probably mistakes. They are never rejected: only the developer knows. */

import { hash } from 'node:crypto';
// The URL of an older jsdom has no canParse.
import { URL } from 'node:url';

/** The same warning appears once, and at most this many different ones: a middleware per request must not fill the log. */
const MAX_REPORTED = 200;

/** Digests, because a value may be a secret. */
const reported = new Set<string>();

/** A value of an option, and why it is probably a mistake. */
export interface OptionDoubt {
  readonly option: string;
  readonly value: unknown;
  /** A short rendering of the value that contains no secret. */
  readonly got: string;
  readonly doubt: string;
}

/** Emits a process warning about one value. */
export function warnOfDoubt({ option, value, got, doubt }: OptionDoubt): void {
  const text = `${option}: got ${got}. ${doubt} If the value is right, ignore this warning.`;
  const digest = hash('sha256', JSON.stringify([text, value]), 'base64');
  if (reported.has(digest) || reported.size >= MAX_REPORTED || isOfSameCall(option, value)) return;
  reported.add(digest);
  process.emitWarning(text, { type: 'ResourceServerWarning', code: 'ERS_SUSPICIOUS_OPTION' });
}

/** The hosts in warnings of the calls that run now. */
const hostsOfCall = new Set<string>();

/** One function passes a URL on to several options, such as a resource to `baseUrl`: they are one mistake. */
function isOfSameCall(option: string, value: unknown): boolean {
  const host = typeof value === 'string' && URL.canParse(value) ? new URL(value).host : '';
  if (host === '') return false;
  const key = `${option.split(':', 1).join()} ${host}`;
  if (hostsOfCall.has(key)) return true;
  if (hostsOfCall.size === 0) {
    queueMicrotask(() => {
      hostsOfCall.clear();
    });
  }
  hostsOfCall.add(key);
  return false;
}

/** Whether a number of seconds is probably one of milliseconds: no whole number of half hours or days, but of thousands. */
export function millisecondsDoubt(value: unknown): string | undefined {
  if (typeof value !== 'number' || value < 2_000 || value % 1_000 !== 0) return undefined;
  if (value % (value > 86_400 ? 86_400 : 1_800) === 0) return undefined;
  return `Durations are seconds, not milliseconds. Did you mean ${value / 1_000}?`;
}
