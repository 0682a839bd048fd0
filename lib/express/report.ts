import type { IncomingMessage } from 'node:http';
import { debuglog } from 'node:util';
import type { Request } from 'express';
import { publish } from '../diagnostics.js';
import { type ResourceServerError, UpstreamError } from '../errors.js';
import { describeUpstreamError } from '../issuer/upstream-problems.js';
import { failedCheckOf } from '../token/checks.js';
import { type Claims, readClientId } from '../token/claims.js';
import { fixFor } from '../token/fixes.js';
import { JWT_LIMITS } from '../token/parse-jwt.js';
import { describeCauses } from '../util/causes.js';
import { ageClockOf, systemClock } from '../util/clock.js';
import { TokenBucket } from '../util/token-bucket.js';
import { escapeControls, render, truncate, withoutToken } from '../util/escape.js';
import { isPromise } from '../util/is-promise.js';
import { parseJsonObject } from '../util/json.js';
import { warn } from '../util/warnings.js';

/** Called once for each rejected request, after the response is decided. It cannot change the response. */
export type RejectionListener = (error: ResourceServerError, req: Request) => unknown;

/** The receivers of a rejection. */
export interface ReportSettings {
  readonly onRejection: RejectionListener | undefined;
  /** The issuer as configured, if there is exactly one. */
  readonly issuer: string | undefined;
  /** Seconds since the epoch. */
  readonly clock: () => number;
}

/** Characters. */
const MAX_FOUND = 200;

const debug = debuglog('express-resource-server');

/** Reports a rejected request: to `NODE_DEBUG=express-resource-server`, the diagnostics channel and `onRejection`. */
export function reportRejection(
  error: ResourceServerError,
  req: IncomingMessage,
  settings: ReportSettings,
  token: string | undefined,
): void {
  publish('request.rejected', () => ({ request: req, error, issuer: settings.issuer }));
  if (debug.enabled) debug('%s', rejectionLine(error, req, settings.clock(), token));
  const { onRejection } = settings;
  if (onRejection === undefined) return;
  try {
    // Every request that Express passes to a middleware is an Express request.
    const result = onRejection(error, req as Request);
    if (isPromise(result)) {
      result.then(undefined, (failure: unknown) => {
        warnAboutListener(onRejection, failure);
      });
    }
  } catch (failure) {
    warnAboutListener(onRejection, failure);
  }
}

/** Seconds. Callers choose how many requests are rejected, so they must not choose how many warnings there are. */
const WARNING_INTERVAL = 60;
const budgets = new WeakMap<RejectionListener, TokenBucket>();

function warnAboutListener(listener: RejectionListener, failure: unknown): void {
  const clock = ageClockOf(systemClock);
  const budget = budgets.get(listener) ?? new TokenBucket({ capacity: 1, interval: WARNING_INTERVAL, clock });
  budgets.set(listener, budget);
  if (!budget.take()) return;
  warn('ERS_ON_REJECTION', `The function onRejection failed, the request is not affected: ${describeCauses(failure)}`);
}

/** One line without a token, a signature or a secret. Everything in it that a caller chose is escaped. */
export function rejectionLine(
  error: ResourceServerError,
  req: IncomingMessage,
  now: number,
  token: string | undefined,
): string {
  const claims = token === undefined ? undefined : readUnverified(token);
  const failed = failedCheckOf(error);
  const segments = token === undefined ? 0 : token.split('.', 6).length;
  const clientId = claims === undefined ? undefined : readClientId(claims, undefined);
  const fix = usualMistake(error, req, token) ?? fixFor(error.reason, failed, { claims, segments, now });
  const parts = [
    `${req.method ?? ''} ${pathOf(req)} ${error.status ?? 500} ${error.reason}`,
    failed === undefined
      ? undefined
      : `checked ${failed.checked}, expected ${render(failed.expected)}, found ${renderFound(failed.found, token)}`,
    error instanceof UpstreamError ? describeUpstreamError(error) : causeOf(error),
    clientId === undefined ? undefined : `client ${render(clientId)} (not verified)`,
    fix,
  ];
  const line = parts.filter((part) => part !== undefined && part !== '').join(' | ');
  return withoutToken(escapeControls(line), token);
}

/** The cause that an own verifier passed. */
function causeOf({ cause }: ResourceServerError): string | undefined {
  const causes = describeCauses(cause);
  return causes === '' ? undefined : `cause ${causes}`;
}

// Before it is cut: the line must not contain the beginning of the token either.
function renderFound(found: unknown, token: string | undefined): string {
  return truncate(withoutToken(render(found, Number.POSITIVE_INFINITY), token), MAX_FOUND);
}

// As the client sent it: Express's `originalUrl` has the mount path. The query may contain a token.
function pathOf(req: IncomingMessage): string {
  const original: unknown = 'originalUrl' in req ? req.originalUrl : undefined;
  const url = typeof original === 'string' ? original : (req.url ?? '');
  return url.replace(/[?#].*$/s, '');
}

const JWT_LIKE = /(?<![\w-])eyJ[\w-]{10,}\.[\w-]+\.[\w-]*/;
const TOKEN_FIELDS = ['x-access-token', 'x-auth-token', 'x-authorization', 'token', 'access-token'];
const READ_INSTEAD = 'Send Authorization: Bearer <token>, or use tokenFrom.';

/** Clients often send the token in a place that this API does not read, or a text in place of a token. */
function usualMistake(error: ResourceServerError, req: IncomingMessage, token: string | undefined): string | undefined {
  if (token === 'undefined' || token === 'null') return `The client sent the text ${token} in place of a token.`;
  if (error.reason !== 'token_missing') return undefined;
  const { headers } = req;
  if (headers.authorization !== undefined) {
    return /^dpop /i.test(headers.authorization)
      ? 'Send Authorization: Bearer <token>, or turn on the option dpop for DPoP proofs.'
      : 'The Authorization header does not begin with the scheme Bearer. Send Authorization: Bearer <token>.';
  }
  const names = Object.keys(headers);
  const header =
    names.find((name) => TOKEN_FIELDS.includes(name)) ??
    names.find((name) => name !== 'dpop' && JWT_LIKE.test(String(headers[name])));
  if (header === 'cookie') return `A token in a cookie is not read. ${READ_INSTEAD}`;
  if (header !== undefined) return `The header ${header} is not read. ${READ_INSTEAD}`;
  const query = /\?.*/s.exec(req.url ?? '')?.[0] ?? '';
  return /[?&](access_token|token|jwt)=/.test(query) || JWT_LIKE.test(query)
    ? `A token in the query is not read. ${READ_INSTEAD}`
    : undefined;
}

/** The payload of a token that looks like a JWT. Nothing of it is verified. */
function readUnverified(token: string): Claims | undefined {
  return parseJsonObject(Buffer.from(token.split('.', 2)[1] ?? '', 'base64url').toString(), JWT_LIMITS);
}
