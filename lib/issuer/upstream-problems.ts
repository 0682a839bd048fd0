import type { UpstreamError } from '../errors.js';
import type { UpstreamReason } from '../reasons.js';
import { describeCauses, messageOf } from '../util/causes.js';
import { HttpError, type HttpMistake } from './http-error.js';
import type { IssuerDocument } from './upstream-monitor.js';

/** What a verifier calls. */
export type UpstreamSubject = IssuerDocument | 'introspection';

/** A problem with the authorization server, as a process warning reports it. */
export interface UpstreamProblem {
  /** The code of the warning. */
  readonly code: string;
  /** Distinguishes the causes of one code. */
  readonly cause: string;
  /** What is wrong: one sentence without a full stop. */
  readonly text: string;
  readonly fix: string;
}

/** Codes of Node and OpenSSL for a connection that fails because of TLS. */
const TLS_CODE =
  /^(?:EPROTO|ERR_(?:TLS|SSL)_|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_(?:CA|PURPOSE)|PATH_LENGTH_EXCEEDED|ERROR_IN_CERT_)/;

/** For errors of the functions and keys that this API authenticates with. */
export const CREDENTIALS_FIX = 'Check the function that returns the secret or the token.';

/** By the code of Node, OpenSSL or `fetch`. */
const SYSTEM_FIXES: readonly (readonly [codes: RegExp, fix: string])[] = [
  [
    /^(?:ERR_SSL_|EPROTO)/,
    'The server does not respond with TLS. Check the port, and whether the address begins with https: or http:.',
  ],
  [/^CERT_HAS_EXPIRED$/, 'The certificate of the server has expired. Renew it, or check the clock of this machine.'],
  [/^CERT_NOT_YET_VALID$/, 'The certificate of the server is not valid yet. Check the clock of this machine.'],
  [
    /^(?:ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH)$/,
    'The certificate is for another host name. Use the name in the certificate, or install the right one.',
  ],
  [
    /^(?:UND_ERR_SOCKET|ECONNRESET|EPIPE)$/,
    'The connection was closed. Check the port, whether the address begins with https: or http:, the network and proxies between this machine and the server.',
  ],
  [/^ENOTFOUND$/, 'Check the address in the options, and the DNS server of this machine: the name has no address.'],
  [/^EAI_AGAIN$/, 'The DNS server did not respond. Check the network and the DNS configuration of this machine.'],
  [
    /^ECONNREFUSED$/,
    'Check the address in the options, firewalls and proxies, and whether the server runs: nothing accepts connections there.',
  ],
];

/** The fix for an unexpected status. */
function statusFix(status: number, subject: UpstreamSubject): string {
  if (status === 429) return 'The server limits the number of requests. The package waits, and tries again.';
  if (status >= 500)
    return 'Open the address from this machine, and see the log of the server: it or a proxy in front of it fails. The package tries again.';
  if (subject === 'introspection' && status === 400) return FIXES.ERS_CREDENTIALS_REJECTED ?? '';
  if (subject === 'metadata' && (status === 401 || status === 403)) {
    return 'The metadata must be readable without credentials. Change the server or the proxy in front of it, or pass a fetch that sends them.';
  }
  if (subject === 'metadata' && status === 404) {
    return 'There is no metadata of this issuer. Check the option issuer; without discovery, pass the option jwksUri.';
  }
  return FIXES.ERS_STATUS ?? '';
}

const FIXES: Readonly<Record<string, string>> = {
  ERS_UNREACHABLE:
    'Check the address in the options, DNS, the network and proxies between this machine and the server.',
  ERS_TLS:
    'If a certificate authority of your own issued the certificate, NODE_EXTRA_CA_CERTS=/path/to/ca.pem adds it. Otherwise the certificate or the name of the server is wrong.',
  ERS_STATUS: 'Open the address from this machine. An HTML page usually comes from a proxy in front of the server.',
  ERS_REDIRECT: 'Redirects are not followed. Set the option to the address that the server redirects to.',
  ERS_NOT_JSON: 'Open the address from this machine. A login page or a proxy usually responds in place of the server.',
  ERS_ISSUER_MISMATCH: 'Set the option issuer to exactly the issuer that the server uses in its tokens.',
  ERS_JWKS_URI_MISSING: 'Set the option jwksUri to the address of the keys.',
  ERS_JWKS_FORBIDDEN:
    'The keys must be readable without credentials. Change the server, or pass a fetch that sends them.',
  ERS_NO_USABLE_KEY: 'Configure the server to publish the public keys that it signs access tokens with.',
  ERS_CREDENTIALS_REJECTED:
    'Check clientId, clientSecret and clientAuthentication, and that the server lets this client introspect tokens.',
  ERS_INTROSPECTION_MISSING: 'Set the option introspectionEndpoint to the address of the endpoint.',
  ERS_RESPONSE_INVALID: 'Open the address, and check that the option contains the right one.',
};

const MISTAKES: Readonly<Record<HttpMistake, string>> = {
  not_json: 'ERS_NOT_JSON',
  issuer_mismatch: 'ERS_ISSUER_MISMATCH',
  jwks_uri_missing: 'ERS_JWKS_URI_MISSING',
  introspection_endpoint_missing: 'ERS_INTROSPECTION_MISSING',
  no_usable_key: 'ERS_NO_USABLE_KEY',
};

/** Describes the failure of a request to the authorization server. */
export function upstreamProblem(error: unknown, subject: UpstreamSubject): UpstreamProblem {
  const failure = mostTelling(error);
  if (failure === undefined) {
    const name = error instanceof Error ? error.name : typeof error;
    const fix = FIXES.ERS_RESPONSE_INVALID ?? '';
    return { code: 'ERS_RESPONSE_INVALID', text: `the response cannot be used (${name})`, cause: name, fix };
  }
  const code = codeOf(failure, subject);
  // Two addresses without a document are one cause.
  const text =
    error instanceof AggregateError && failure.failure === 'status' ? describeAll(error) : messageOf(failure);
  const { origin = '', status, message, systemCode } = failure;
  const isUnreachable = failure.failure === 'unreachable' || failure.failure === 'timeout';
  // All documents of an origin that is not reachable have one cause.
  // Our deadline and those of `fetch` are one cause.
  const isTimeout = failure.failure === 'timeout' || /TIMEOUT|TIMEDOUT/.test(systemCode ?? '');
  const cause = isUnreachable
    ? `${origin} ${isTimeout ? 'timeout' : (systemCode ?? '')}`
    : `${subject} ${status ?? message}`;
  return { code, text, cause, fix: fixOf(failure, code, subject) };
}

function fixOf({ status, systemCode = '' }: HttpError, code: string, subject: UpstreamSubject): string {
  if (code === 'ERS_STATUS') return statusFix(status ?? 0, subject);
  return SYSTEM_FIXES.find(([codes]) => codes.test(systemCode))?.[1] ?? FIXES[code] ?? '';
}

const SUBJECTS: Readonly<Record<Exclude<UpstreamReason, 'store_unavailable'>, UpstreamSubject>> = {
  metadata_unavailable: 'metadata',
  keys_unavailable: 'keys',
  introspection_unavailable: 'introspection',
};

/** The causes of an error, and what to change: for the debug line and `explain`. */
export function describeUpstreamError({ reason, cause }: UpstreamError): string {
  return [describeCauses(cause), upstreamFix(reason, cause)].filter((part) => part !== '').join('. ');
}

function upstreamFix(reason: UpstreamReason, cause: unknown): string {
  if (reason === 'store_unavailable') return 'Check the store and the connection to it.';
  if (mostTelling(cause) !== undefined) return upstreamProblem(cause, SUBJECTS[reason]).fix;
  const isOfCredentials = cause instanceof Error && /^(?:clientSecret|bearerToken) /.test(describeCauses(cause));
  return isOfCredentials ? CREDENTIALS_FIX : '';
}

/** Of several attempts, the one that was closest to success. */
function mostTelling(error: unknown): HttpError | undefined {
  if (error instanceof HttpError) return error;
  if (!(error instanceof AggregateError)) return undefined;
  const failures = error.errors.filter((each) => each instanceof HttpError);
  const rank = ({ mistake, status }: HttpError): number =>
    mistake === 'issuer_mismatch' ? 0 : status === undefined ? 1 : status === 404 ? 3 : 2;
  return failures.sort((one, other) => rank(one) - rank(other))[0];
}

function describeAll({ message, errors }: AggregateError): string {
  const failures = errors.filter((each) => each instanceof HttpError);
  return `${message} (${failures.map((each) => each.message).join('; ')})`;
}

function codeOf({ failure, status = 0, code, systemCode, mistake }: HttpError, subject: UpstreamSubject): string {
  if (failure === 'unreachable') return TLS_CODE.test(systemCode ?? '') ? 'ERS_TLS' : 'ERS_UNREACHABLE';
  if (failure === 'timeout') return 'ERS_UNREACHABLE';
  if (failure === 'redirect') return 'ERS_REDIRECT';
  if (failure === 'status') {
    const isForbidden = status === 401 || status === 403;
    if (subject === 'keys') return isForbidden ? 'ERS_JWKS_FORBIDDEN' : 'ERS_STATUS';
    if (subject === 'introspection') {
      const isClientError = code === 'invalid_client' || code === 'unauthorized_client' || code === 'access_denied';
      if (isForbidden || isClientError) return 'ERS_CREDENTIALS_REJECTED';
      if ([404, 405, 410].includes(status)) return 'ERS_INTROSPECTION_MISSING';
    }
    return 'ERS_STATUS';
  }
  return mistake === undefined ? 'ERS_RESPONSE_INVALID' : MISTAKES[mistake];
}
