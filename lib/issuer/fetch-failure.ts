import { isPlainObject } from '../util/is-plain-object.js';

/** Why a `fetch` failed. Nothing of the request or of a response is part of it. */
export interface FetchFailure {
  readonly reason: string | undefined;
  /** The code of Node, OpenSSL or undici. */
  readonly systemCode: string | undefined;
}

/** Errors of a pooled connection that the server closed before our request arrived. */
const CLOSED_CONNECTION = new Set<unknown>(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

/** Messages of `fetch` that say more than the code of their error, if it has one. */
const KNOWN_MESSAGES: readonly (readonly [message: RegExp, text: string])[] = [
  [/^Proxy response \((\d{3})\) /, 'the proxy responded $1'],
  [/^proxy authentication required$/, 'the proxy requires a password'],
  [/^other side closed$/, 'the server closed the connection'],
  [/^bad port$/, 'fetch does not call this port'],
  [/^too many content-encodings /, 'too many content encodings'],
];

const MAX_CAUSES = 8;

export function isClosedConnection(error: unknown): boolean {
  return causesOf(error).some((each) => CLOSED_CONNECTION.has(memberOf(each, 'code')));
}

/** Of the causes of an error, the innermost that says something. */
export function describeFailure(error: unknown): FetchFailure {
  const errors = causesOf(error);
  return {
    reason: errors.map(describeError).findLast((each) => each !== undefined),
    systemCode: errors.map(systemCodeOf).findLast((each) => each !== undefined),
  };
}

// `fetch` puts the reason of a failure into `cause`, and a proxy agent that of a tunnel into the next `cause`. The errors may
// come from another realm.
function causesOf(error: unknown): unknown[] {
  const causes = [error];
  for (let cause = memberOf(error, 'cause'); cause !== undefined && causes.length < MAX_CAUSES;) {
    causes.push(cause);
    cause = memberOf(cause, 'cause');
  }
  return causes;
}

function memberOf(value: unknown, name: string): unknown {
  return isPlainObject(value) ? value[name] : undefined;
}

/** The code of an error, if it can be shown: other text may quote a request or a secret. */
export function systemCodeOf(error: unknown): string | undefined {
  const code = memberOf(error, 'code');
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,59}$/.test(code) ? code : undefined;
}

function describeError(error: unknown): string | undefined {
  const code = systemCodeOf(error);
  const message = memberOf(error, 'message');
  if (typeof message === 'string') {
    for (const [pattern, text] of KNOWN_MESSAGES) {
      const found = pattern.exec(message);
      if (found !== null) return text.replace('$1', found[1] ?? '');
    }
    // A system error names the call and the address, such as "connect ECONNREFUSED 127.0.0.1:443".
    if (typeof memberOf(error, 'syscall') === 'string') return message.slice(0, 200);
  }
  if (code !== undefined) return code;
  // `fetch` names no cause for some failures.
  if (message === '') return 'no cause is named, as for the status 407 of a proxy';
  const name = memberOf(error, 'name');
  return typeof name === 'string' && /^[A-Za-z]{1,40}$/.test(name) ? name : undefined;
}
