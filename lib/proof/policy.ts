import type { IncomingMessage } from 'node:http';
import type { Scheme } from '../challenge.js';
import { ConfigurationError } from '../errors.js';
import { memoryStore } from '../store/memory-store.js';
import type { AccessToken } from '../token/access-token.js';
import { ASYMMETRIC } from '../token/algorithms.js';
import { type Confirmation, describeIgnored, readConfirmation, requireBinding } from '../token/confirmation.js';
import type { Credentials } from '../token/credentials.js';
import { algorithmsOf, type Profile, rulesOf } from '../token/profile.js';
import { rejectToken } from '../token/reject-token.js';
import { DpopProofs } from './dpop.js';
import type { DpopOptions } from './dpop-options.js';
import type { ProofMode } from './mode.js';
import { makeCertificateCheck } from './mtls.js';
import type { MtlsOptions } from './mtls-options.js';
import { ageClockOf } from '../util/clock.js';
import { Nonces } from './nonces.js';

export interface SenderConstraintOptions {
  /** The function that was called, for the messages about its options. */
  readonly where: string;
  readonly dpop: ProofMode | DpopOptions | undefined;
  readonly mtls: ProofMode | MtlsOptions | undefined;
  readonly profile: Profile | undefined;
  /** The current time in seconds since the epoch. */
  readonly clock: () => number;
  /** The URI that the caller used, without query; `undefined` if it cannot be determined. */
  readonly uriOf: (req: IncomingMessage) => string | undefined;
}

/** The result of a proof. */
export interface ProofResult {
  /** The nonce that the client must use from now on, if it needs a new one (RFC 9449 §8.2). */
  readonly nonce: string | undefined;
}

/** Which bindings an API accepts and requires. */
export interface Policy {
  readonly dpop: ProofMode;
  readonly mtls: ProofMode;
  /** Whether every token must have at least one binding. */
  readonly isBindingRequired: boolean;
}

/**
 * The table: scheme × `cnf` × policy.
 *
 * | scheme | bound to        | the request needs                                  |
 * | ------ | --------------- | -------------------------------------------------- |
 * | Bearer | nothing         | nothing; rejected if tokens must be bound          |
 * | Bearer | a certificate   | the certificate; rejected if mtls is off           |
 * | Bearer | a DPoP key      | rejected: a bound token is never a bearer token    |
 * | DPoP   | no DPoP key     | rejected: there is no key that a proof could prove |
 * | DPoP   | a DPoP key      | the proof                                          |
 * | DPoP   | both            | both                                               |
 *
 * A token must have each binding whose mode is `required`.
 *
 * @throws InvalidTokenError
 */
export function checkBinding(scheme: Scheme, confirmation: Confirmation, policy: Policy): void {
  const { jkt, x5tS256 } = confirmation;
  const isBoundToKey = jkt !== undefined;
  if (isBoundToKey && policy.dpop === 'off') dpopIsOff(jkt);
  if (isBoundToKey && scheme !== 'DPoP') unproven('scheme', 'DPoP', scheme);
  const isBoundToCertificate = x5tS256 !== undefined;
  if (isBoundToCertificate && policy.mtls === 'off') unproven('cnf.x5t#S256', 'none, because mtls is off', x5tS256);
  const needsKey = scheme === 'DPoP' || policy.dpop === 'required';
  if (needsKey && !isBoundToKey) missing('cnf.jkt', 'the thumbprint of a key', confirmation);
  if (policy.mtls === 'required' && !isBoundToCertificate) {
    missing('cnf.x5t#S256', 'the thumbprint of a certificate', confirmation);
  }
  if (policy.isBindingRequired) requireBinding(confirmation);
}

function dpopIsOff(jkt: string): never {
  unproven('cnf.jkt', 'none, because dpop is off', jkt);
}

function unproven(checked: string, expected: string, found: string): never {
  rejectToken('binding_unproven', checked, expected, found);
}

function missing(checked: string, expected: string, confirmation: Confirmation): never {
  rejectToken('binding_missing', checked, expected, describeIgnored(confirmation));
}

/** Checks that a request proves the bindings of its token. */
export interface SenderConstraint {
  /** The schemes with which a token may be presented. */
  readonly schemes: readonly Scheme[];
  /** The algorithms of DPoP proofs. */
  readonly algs: readonly string[];
  /** Whether tokens that are bound to a client certificate are accepted. */
  readonly supportsMtls: boolean;
  /** `undefined` if the token is not bound. Throws if the token is rejected without a proof; otherwise a promise. */
  prove(req: IncomingMessage, credentials: Credentials, accessToken: AccessToken): Promise<ProofResult> | undefined;
}

export function makeSenderConstraint(options: SenderConstraintOptions): SenderConstraint {
  const { where, profile, uriOf, clock } = options;
  const isBindingRequired = rulesOf(profile).requiresBinding;
  // With 'off', a profile that requires bound tokens would accept none.
  const defaultMode: ProofMode = isBindingRequired ? 'allowed' : 'off';
  const dpop = typeof options.dpop === 'object' ? options.dpop : { mode: options.dpop ?? defaultMode };
  const mtls = typeof options.mtls === 'object' ? options.mtls : { mode: options.mtls ?? defaultMode };
  const policy: Policy = { dpop: dpop.mode, mtls: mtls.mode, isBindingRequired };
  if (isBindingRequired && policy.dpop === 'off' && policy.mtls === 'off') throw allBindingsOff(where, profile);
  const algs = algorithmsOf(`${where}: dpop: algorithms`, dpop.algorithms, ASYMMETRIC, profile);
  // Most APIs accept no bound tokens, and the memory for replayed proofs takes time at startup.
  const proofs = policy.dpop === 'off' ? undefined : makeProofs(dpop, algs, uriOf, clock);
  const checkCertificate = makeCertificateCheck(mtls.certificate ?? 'socket');

  const proveAll = async (
    req: IncomingMessage,
    token: string,
    { jkt, x5tS256 }: Confirmation,
  ): Promise<ProofResult> => {
    if (x5tS256 !== undefined) await checkCertificate(req, x5tS256);
    if (jkt === undefined) return { nonce: undefined };
    if (proofs === undefined) dpopIsOff(jkt);
    return { nonce: await proofs.check(req, token, jkt) };
  };

  return {
    schemes: schemesOf(policy),
    algs: policy.dpop === 'off' ? [] : algs,
    supportsMtls: policy.mtls !== 'off',
    prove: (req, { scheme, token }, { claims }) => {
      const confirmation = readConfirmation(claims);
      checkBinding(scheme, confirmation, policy);
      const isBound = confirmation.jkt !== undefined || confirmation.x5tS256 !== undefined;
      return isBound ? proveAll(req, token, confirmation) : undefined;
    },
  };
}

function schemesOf({ dpop }: Policy): readonly Scheme[] {
  if (dpop === 'off') return ['Bearer'];
  return dpop === 'required' ? ['DPoP'] : ['Bearer', 'DPoP'];
}

function makeProofs(
  options: DpopOptions,
  algorithms: readonly string[],
  uriOf: (req: IncomingMessage) => string | undefined,
  clock: () => number,
): DpopProofs {
  const { maxAge = 60, clockTolerance = 10, nonce = false, nonceMaxAge = 300, secret } = options;
  return new DpopProofs({
    algorithms,
    maxAge,
    clockTolerance,
    nonces: nonce ? new Nonces({ secret, maxAge: nonceMaxAge, clock }) : undefined,
    nonceRenewal: nonceMaxAge / 2,
    store: options.store ?? memoryStore({ maxEntries: 1_000_000, clock: ageClockOf(clock) }),
    uriOf,
    clock,
  });
}

function allBindingsOff(where: string, profile: Profile | undefined): ConfigurationError {
  return new ConfigurationError({
    option: `${where}: dpop, mtls`,
    expected: `at least one of them on, because the profile ${String(profile)} accepts only sender-constrained tokens`,
    got: 'both off',
    fix: "Leave one out, or set it to 'allowed' or 'required'.",
  });
}
