import type { Attributes } from '@opentelemetry/api';
import {
  InsufficientAuthenticationError,
  InsufficientScopeError,
  InvalidDpopProofError,
  InvalidRequestError,
  InvalidTokenError,
  MissingTokenError,
  type ResourceServerError,
  UpstreamError,
} from '../errors.js';
import { HttpError } from '../issuer/http-error.js';
import { SENTENCES } from '../reasons.js';

/** The attributes of metrics and spans. Their values come from bounded sets, so the number of time series is bounded. */
export const ATTRIBUTE = {
  issuer: 'express_resource_server.issuer',
  clientId: 'express_resource_server.client.id',
  rejectionClass: 'express_resource_server.rejection.class',
  rejectionReason: 'express_resource_server.rejection.reason',
  cacheResult: 'express_resource_server.cache.result',
  document: 'express_resource_server.document',
  outcome: 'express_resource_server.introspection.outcome',
  /** General attribute of the semantic conventions: the class of an error, of low cardinality. */
  errorType: 'error.type',
} as const;

/** The value that the semantic conventions define for everything outside of a known set. */
const OTHER = '_OTHER';

/** What a rejection means for the operator. */
export type RejectionClass =
  | 'no_credentials'
  | 'invalid_request'
  | 'expired'
  | 'invalid_token'
  | 'nonce_required'
  | 'invalid_proof'
  | 'insufficient_rights'
  | 'upstream'
  | typeof OTHER;

export function rejectionClassOf(error: ResourceServerError): RejectionClass {
  if (error instanceof InvalidTokenError) return error.reason === 'expired' ? 'expired' : 'invalid_token';
  if (error instanceof InvalidDpopProofError)
    return error.code === 'use_dpop_nonce' ? 'nonce_required' : 'invalid_proof';
  if (error instanceof InsufficientScopeError || error instanceof InsufficientAuthenticationError) {
    return 'insufficient_rights';
  }
  if (error instanceof UpstreamError) return 'upstream';
  if (error instanceof MissingTokenError) return 'no_credentials';
  return error instanceof InvalidRequestError ? 'invalid_request' : OTHER;
}

/** The reason of an error. A subclass of the application may have any reason, and it may be different for each request. */
export function reasonOf({ reason }: ResourceServerError): string {
  return Object.hasOwn(SENTENCES, reason) ? reason : OTHER;
}

/** How deep the causes of an error are searched. An error can be its own cause. */
const MAX_DEPTH = 5;

/** Why an exchange with the authorization server failed, as `error.type`. */
export function failureOf(error: unknown): string {
  return httpFailureOf(error, MAX_DEPTH) ?? (error instanceof UpstreamError ? reasonOf(error) : OTHER);
}

function httpFailureOf(error: unknown, depth: number): string | undefined {
  if (depth === 0 || !(error instanceof Error)) return undefined;
  if (error instanceof HttpError) return error.failure;
  const inner: unknown[] = error instanceof AggregateError ? error.errors.slice(0, MAX_DEPTH) : [error.cause];
  for (const each of inner) {
    const failure = httpFailureOf(each, depth - 1);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/** Limits the number of different values of an attribute: after `limit` values, all new ones are `_OTHER`. */
export class BoundedValues {
  readonly #limit: number;
  readonly #values = new Set<string>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  of(value: string): string {
    if (this.#values.has(value)) return value;
    if (this.#values.size === this.#limit) return OTHER;
    this.#values.add(value);
    return value;
  }
}

/** Removes the attributes without a value. */
export function present(attributes: Readonly<Record<string, string | undefined>>): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}
