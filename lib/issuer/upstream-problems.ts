import type { UpstreamError } from '../errors.js';
import type { UpstreamReason } from '../reasons.js';
import { describeCauses } from '../util/causes.js';
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
  ERS_RESPONSE_INVALID: 'Compare the response with the option that names the address.',
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
    return { ...describeProblem('ERS_RESPONSE_INVALID', `the response cannot be used (${name})`), cause: name };
  }
  const code = codeOf(failure, subject);
  // Two addresses without a document are one cause.
  const text = error instanceof AggregateError && failure.failure === 'status' ? describeAll(error) : failure.message;
  const { origin = '', status, message, systemCode } = failure;
  const isUnreachable = failure.failure === 'unreachable' || failure.failure === 'timeout';
  // All documents of an origin that is not reachable have one cause.
  const cause = isUnreachable ? `${origin} ${systemCode ?? failure.failure}` : `${subject} ${status ?? message}`;
  return { ...describeProblem(code, text), cause };
}

const SUBJECTS: Readonly<Record<Exclude<UpstreamReason, 'store_unavailable'>, UpstreamSubject>> = {
  metadata_unavailable: 'metadata',
  keys_unavailable: 'keys',
  introspection_unavailable: 'introspection',
};

/** The causes of an error, and what to change: for the debug line and `explain`. */
export function describeUpstreamError({ reason, cause }: UpstreamError): string {
  const fix =
    reason === 'store_unavailable'
      ? 'Check the store and the connection to it.'
      : mostTelling(cause) === undefined
        ? ''
        : upstreamProblem(cause, SUBJECTS[reason]).fix;
  return [describeCauses(cause), fix].filter((part) => part !== '').join('. ');
}

function describeProblem(code: string, text: string): Omit<UpstreamProblem, 'cause'> {
  return { code, text, fix: FIXES[code] ?? '' };
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
