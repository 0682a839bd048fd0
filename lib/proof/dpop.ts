import { hash, KeyObject } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { publish } from '../diagnostics.js';
import { makeFailedCheck, InvalidDpopProofError, InvalidTokenError, UpstreamError } from '../errors.js';
import type { InvalidDpopProofReason } from '../reasons.js';
import { describeCauses } from '../util/causes.js';
import { withTimeout } from '../util/timeout.js';
import { WarningStates } from '../util/warnings.js';
import { ageClockOf, type Clock } from '../util/clock.js';
import { BoundedCache } from '../util/bounded-cache.js';
import { recordIn, type Store } from '../store/store.js';
import { StoreMonitor } from '../store/store-monitor.js';
import { type Claims, rawClaim } from '../token/claims.js';
import { readField } from '../token/header-fields.js';
import { isSafePublicJwk, type RsaLimits, createKeySelector } from '../token/jwk.js';
import { type CompactJws, parseSegment, splitJws } from '../token/parse-jwt.js';
import { rejectToken } from '../token/reject-token.js';
import { isSignedWith } from '../token/signature.js';
import { isSameHttpUri } from './http-uri.js';
import type { Nonces } from './nonces.js';

export interface DpopSettings {
  readonly algorithms: readonly string[];
  /** Seconds. */
  readonly maxAge: number;
  /** Seconds. */
  readonly clockTolerance: number;
  readonly nonces: Nonces | undefined;
  /** The age after which a client receives a new nonce. Seconds. */
  readonly nonceRenewal: number;
  readonly store: Store;
  /** The URI that the caller used, without query; `undefined` if it cannot be determined. */
  readonly uriOf: (req: IncomingMessage) => string | undefined;
  readonly clock: Clock;
}

/** The imported key of a client. */
interface ProofKey {
  readonly alg: string;
  /** RFC 7638, SHA-256. */
  readonly thumbprint: string;
  readonly key: KeyObject;
}

/** A header whose key is not imported yet. */
interface ProofHeader {
  readonly alg: string;
  readonly jwk: JWK;
}

interface Proof {
  readonly jws: CompactJws;
  readonly claims: Claims;
  readonly jti: string;
  /** Seconds since the epoch. */
  readonly iat: number;
}

const MAX_PROOF_BYTES = 8_192;
/** The caller chooses the key, so its size limits what one verification costs. Bits. */
const MAX_RSA: RsaLimits = { modulus: 4_096, exponent: 32 };
/** The timeout of one call of the store. Seconds. */
const STORE_TIMEOUT = 1;
/** How many keys are cached, and for how long. Seconds. */
const KEY_CACHE = { maxEntries: 1_000, maxAge: 3_600 };

/** Verifies DPoP proofs that come with an access token (RFC 9449 §4.3 and §7.1). */
export class DpopProofs {
  readonly #settings: DpopSettings;
  readonly #ageClock: Clock;
  // A client uses the same header for all its proofs, so its key is checked and imported once. Only the keys of valid
  // proofs are cached.
  readonly #keys: BoundedCache<ProofKey>;
  readonly #storeMonitor: StoreMonitor;

  constructor(settings: DpopSettings) {
    this.#settings = settings;
    this.#ageClock = ageClockOf(settings.clock);
    this.#keys = new BoundedCache<ProofKey>({ maxEntries: KEY_CACHE.maxEntries, clock: this.#ageClock });
    const consequence = 'Requests with a DPoP proof receive 503.';
    this.#storeMonitor = new StoreMonitor(new WarningStates(settings.clock), 'dpop.store', consequence);
  }

  /**
   * Checks that the request proves the key that the token is bound to: cheap checks first, then the signature, and last
   * that the proof was not used before. Returns the nonce that the client must use from now on, if it needs a new one.
   */
  async check(req: IncomingMessage, token: string, thumbprint: string): Promise<string | undefined> {
    const jws = readProof(req);
    const headerKey = hash('sha256', jws.header, 'base64url');
    const known = this.#keys.get(headerKey);
    const header = known ?? readHeader(jws.header, this.#settings.algorithms);
    const proof = readClaims(jws);
    this.#checkRequest(proof.claims, req, token);
    this.#checkTimes(proof);
    const nonce = this.#checkNonce(proof.claims);
    const key = 'key' in header ? header : await importKey(header, thumbprint);
    if (key.thumbprint !== thumbprint) mismatch(thumbprint, key.thumbprint);
    if (!(await isSignedWith([key.key], { ...jws, header: key }))) rejectProof('proof_signature_mismatch', 'signature');
    if (known === undefined) this.#keys.set(headerKey, key, this.#ageClock() + KEY_CACHE.maxAge);
    await this.#recordUse(req, proof, thumbprint);
    return nonce;
  }

  #checkRequest(claims: Claims, req: IncomingMessage, token: string): void {
    const htm = rawClaim(claims, 'htm');
    if (htm !== req.method) rejectProof('proof_method_mismatch', 'htm', req.method, htm);
    const htu = rawClaim(claims, 'htu');
    const uri = this.#settings.uriOf(req);
    if (!isSameHttpUri(htu, uri)) rejectProof('proof_uri_mismatch', 'htu', uri, htu);
    const ath = rawClaim(claims, 'ath');
    if (ath !== hash('sha256', token, 'base64url')) {
      rejectProof('proof_token_mismatch', 'ath', 'the hash of this access token', ath);
    }
  }

  #checkTimes({ iat, claims }: Proof): void {
    const { maxAge, clockTolerance, clock } = this.#settings;
    const now = clock();
    if (iat < now - maxAge) rejectProof('proof_too_old', 'iat', `${now - maxAge} or later`, iat);
    const latest = now + clockTolerance;
    if (iat > latest) rejectProof('proof_issued_in_future', 'iat', `${latest} or earlier`, iat);
    // Optional in a proof, but they apply if present (RFC 7519 §4.1.4, §4.1.5).
    const exp = readTime(claims, 'exp') ?? Number.POSITIVE_INFINITY;
    if (now >= exp) rejectProof('proof_too_old', 'exp', `later than ${now}`, exp);
    const nbf = readTime(claims, 'nbf') ?? Number.NEGATIVE_INFINITY;
    if (nbf > latest) rejectProof('proof_issued_in_future', 'nbf', `${latest} or earlier`, nbf);
  }

  #checkNonce(claims: Claims): string | undefined {
    const { nonces, nonceRenewal } = this.#settings;
    if (nonces === undefined) return undefined;
    const found = rawClaim(claims, 'nonce');
    const age = typeof found === 'string' ? nonces.ageOf(found) : undefined;
    if (age === undefined) {
      const reason = found === undefined ? 'proof_nonce_missing' : 'proof_nonce_refused';
      const cause = makeFailedCheck('nonce', 'a nonce of this API that is not too old', found);
      throw new InvalidDpopProofError(reason, { cause, nonce: nonces.make() });
    }
    return age > nonceRenewal ? nonces.make() : undefined;
  }

  /** RFC 9449 §11.1. The record lasts as long as the proof is valid, also for a process whose clock is behind. */
  async #recordUse(req: IncomingMessage, { jti, iat }: Proof, thumbprint: string): Promise<void> {
    const { store, maxAge, clockTolerance, clock } = this.#settings;
    // The name contains the thumbprint, so that no client can use up the identifiers of another client.
    const name = `dpop:${hash('sha256', JSON.stringify([thumbprint, jti]), 'base64url')}`;
    if (wasRecordedHere(req, store, name)) return;
    const lifetime = iat + maxAge - clock() + clockTolerance + 1;
    const isFirst = await this.#addTo(store, name, lifetime);
    if (!isFirst) {
      publish('dpop.replay', () => ({ request: req }));
      rejectProof('proof_replayed', 'jti', 'a value that was not used before', jti);
    }
    noteRecorded(req, store, name);
  }

  async #addTo(store: Store, name: string, lifetime: number): Promise<boolean> {
    try {
      const isFirst = await withTimeout(recordIn(store, name, lifetime), STORE_TIMEOUT, 'the store');
      this.#storeMonitor.succeeded('add');
      return isFirst;
    } catch (cause) {
      this.#storeMonitor.failed('add', cause);
      throw new UpstreamError('store_unavailable', 1, { cause });
    }
  }
}

function readProof(req: IncomingMessage): CompactJws {
  const field = readField(req, 'dpop');
  if (field === undefined) rejectProof('proof_missing', 'DPoP', 'a proof in the header DPoP');
  if (field === 'several') rejectProof('several_proofs', 'DPoP', 'one header DPoP', 'several');
  return readMalformed(() => splitJws(field.value, MAX_PROOF_BYTES));
}

/** Reads a part of the JWT; turns the error for a malformed token into the error for a malformed proof. */
function readMalformed<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof InvalidTokenError) throw new InvalidDpopProofError('proof_malformed', { cause: cause.cause });
    throw cause;
  }
}

function readHeader(segment: string, algorithms: readonly string[]): ProofHeader {
  const { typ, alg, crit, jwk } = readMalformed(() => parseSegment(segment));
  if (typ !== 'dpop+jwt') rejectProof('proof_type_refused', 'typ', 'dpop+jwt', typ);
  if (typeof alg !== 'string' || !algorithms.includes(alg))
    rejectProof('proof_algorithm_refused', 'alg', algorithms, alg);
  // RFC 7515 §4.1.11: critical extensions that are not supported must be rejected.
  if (crit !== undefined) rejectProof('proof_malformed', 'crit', undefined, crit);
  if (!isSafePublicJwk(jwk, MAX_RSA))
    rejectProof('proof_key_refused', 'jwk', 'a public key, RSA from 2,048 to 4,096 bits');
  return { alg, jwk };
}

function readClaims(jws: CompactJws): Proof {
  const claims = readMalformed(() => parseSegment(jws.payload));
  const jti = rawClaim(claims, 'jti');
  if (typeof jti !== 'string' || jti === '') rejectProof('proof_malformed', 'jti', 'a string', jti);
  const iat = readTime(claims, 'iat');
  if (iat === undefined) rejectProof('proof_malformed', 'iat', 'a finite number');
  for (const name of ['htm', 'htu', 'ath']) {
    const value = rawClaim(claims, name);
    if (typeof value !== 'string') rejectProof('proof_malformed', name, 'a string', value);
  }
  return { jws, claims, jti, iat };
}

function readTime(claims: Claims, name: string): number | undefined {
  const value = rawClaim(claims, name);
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value))
    rejectProof('proof_malformed', name, 'a finite number', value);
  return value;
}

// The thumbprint comes first, because a key that does not belong to the token need not be imported.
async function importKey({ alg, jwk }: ProofHeader, expected: string): Promise<ProofKey> {
  try {
    const thumbprint = await calculateJwkThumbprint(jwk, 'sha256');
    if (thumbprint !== expected) mismatch(expected, thumbprint);
    const key = await createKeySelector([jwk])({ alg });
    return { alg, thumbprint, key: KeyObject.from(key) };
  } catch (cause) {
    if (cause instanceof InvalidTokenError) throw cause;
    rejectProof('proof_key_refused', 'jwk', `a valid key for ${alg}`, describeCauses(cause));
  }
}

// RFC 9449 §7.1, Figure 16: a binding that is not confirmed is an error of the token, not of the proof.
function mismatch(expected: string, found: string): never {
  rejectToken('binding_mismatch', 'cnf.jkt', expected, found);
}

function rejectProof(reason: InvalidDpopProofReason, checked: string, expected?: unknown, found?: unknown): never {
  const cause = makeFailedCheck(checked, expected, found);
  throw new InvalidDpopProofError(reason, { cause });
}

// A request may pass several middlewares, also of two copies of this package; that counts as one use of its proof.
const RECORDED = Symbol.for('express-resource-server.recorded-proofs.v1');

type Recorded = IncomingMessage & { [RECORDED]?: readonly { readonly store: Store; readonly name: string }[] };

function wasRecordedHere(req: Recorded, store: Store, name: string): boolean {
  return req[RECORDED]?.some((record) => record.store === store && record.name === name) ?? false;
}

function noteRecorded(req: Recorded, store: Store, name: string): void {
  req[RECORDED] = [...(req[RECORDED] ?? []), { store, name }];
}
