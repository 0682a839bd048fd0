import { hash, KeyObject } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { type FailedCheck, InvalidDpopProofError, InvalidTokenError, UpstreamError } from '../errors.js';
import type { InvalidDpopProofReason } from '../reasons.js';
import { withTimeout } from '../util/timeout.js';
import { BoundedCache } from '../util/bounded-cache.js';
import type { Store } from '../store/store.js';
import { claim, type Claims } from '../token/claims.js';
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
  /** Age from which on a nonce is replaced. Seconds. */
  readonly nonceRenewal: number;
  readonly store: Store;
  /** The URI that the caller used, without query; `undefined` where that cannot be told. */
  readonly uriOf: (req: IncomingMessage) => string | undefined;
  /** Seconds since the epoch. */
  readonly clock: () => number;
}

/** The key of a client, as its proofs carry it. */
interface ProofKey {
  readonly alg: string;
  /** RFC 7638, SHA-256. */
  readonly thumbprint: string;
  readonly key: KeyObject;
}

/** What a header says before anybody has looked at its key. */
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
/** The caller chooses the key, and must not choose one that costs this server more than the caller. */
const MAX_RSA: RsaLimits = { modulus: 4_096, exponent: 32 };
/** Deadline for one call of the store. Seconds. */
const STORE_TIMEOUT = 1;
/** How many clients' keys are remembered, and for how long. Seconds. */
const KEYS = { maxEntries: 1_000, maxAge: 3_600 };

/** Checks DPoP proofs that come with an access token (RFC 9449 §4.3 and §7.1). */
export class DpopProofs {
  readonly #settings: DpopSettings;
  // Clients use one header for all their proofs, so what it says is found out once. Only keys that have proven themselves
  // get here, and those in use stay longest.
  readonly #keys: BoundedCache<ProofKey>;

  constructor(settings: DpopSettings) {
    this.#settings = settings;
    this.#keys = new BoundedCache<ProofKey>({ maxEntries: KEYS.maxEntries, clock: settings.clock });
  }

  /**
   * Checks that the request proves the key that the token is bound to: all that is cheap first, then the signature, and
   * last that nobody has used this proof before. Gives the nonce that the client shall use from now on, if it needs another.
   */
  async check(req: IncomingMessage, token: string, thumbprint: string): Promise<string | undefined> {
    const { clock } = this.#settings;
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
    if (!(await isSignedWith([key.key], { ...jws, header: key }))) refuse('proof_signature_mismatch', 'signature');
    if (known === undefined) this.#keys.set(headerKey, key, clock() + KEYS.maxAge);
    await this.#claim(req, proof, thumbprint);
    return nonce;
  }

  #checkRequest(claims: Claims, req: IncomingMessage, token: string): void {
    const htm = claim(claims, 'htm');
    if (htm !== req.method) refuse('proof_method_mismatch', 'htm', req.method, htm);
    const htu = claim(claims, 'htu');
    const uri = this.#settings.uriOf(req);
    if (!isSameHttpUri(htu, uri)) refuse('proof_uri_mismatch', 'htu', uri, htu);
    const ath = claim(claims, 'ath');
    if (ath !== hash('sha256', token, 'base64url')) refuse('proof_token_mismatch', 'ath', undefined, ath);
  }

  #checkTimes({ iat, claims }: Proof): void {
    const { maxAge, clockTolerance, clock } = this.#settings;
    const now = clock();
    if (iat < now - maxAge) refuse('proof_too_old', 'iat', `${now - maxAge} or later`, iat);
    const latest = now + clockTolerance;
    if (iat > latest) refuse('proof_issued_in_future', 'iat', `${latest} or earlier`, iat);
    // Proofs need neither, but a JWT that has them means them (RFC 7519 §4.1.4, §4.1.5).
    const exp = readTime(claims, 'exp') ?? Number.POSITIVE_INFINITY;
    if (now >= exp) refuse('proof_too_old', 'exp', `later than ${now}`, exp);
    const nbf = readTime(claims, 'nbf') ?? Number.NEGATIVE_INFINITY;
    if (nbf > latest) refuse('proof_issued_in_future', 'nbf', `${latest} or earlier`, nbf);
  }

  #checkNonce(claims: Claims): string | undefined {
    const { nonces, nonceRenewal } = this.#settings;
    if (nonces === undefined) return undefined;
    const found = claim(claims, 'nonce');
    if (found === undefined) throw new InvalidDpopProofError('proof_nonce_missing', { nonce: nonces.make() });
    const age = typeof found === 'string' ? nonces.ageOf(found) : undefined;
    if (age === undefined) throw new InvalidDpopProofError('proof_nonce_refused', { nonce: nonces.make() });
    return age > nonceRenewal ? nonces.make() : undefined;
  }

  /** RFC 9449 §11.1. RefreshingResource for as long as the proof would pass, also where another process has a clock that is behind. */
  async #claim(req: IncomingMessage, { jti, iat }: Proof, thumbprint: string): Promise<void> {
    const { store, maxAge, clockTolerance, clock } = this.#settings;
    // With the key's thumbprint, so that nobody can use up the identifiers of another client.
    const name = `dpop:${hash('sha256', JSON.stringify([thumbprint, jti]), 'base64url')}`;
    if (hasClaimed(req, store, name)) return;
    const lifetime = iat + maxAge - clock() + clockTolerance + 1;
    const isFirst = await addTo(store, name, lifetime);
    if (!isFirst) refuse('proof_replayed', 'jti', 'one that was not used before', jti);
    setClaimed(req, store, name);
  }
}

async function addTo(store: Store, name: string, lifetime: number): Promise<boolean> {
  try {
    const answer: unknown = await withTimeout(store.add(name, lifetime), STORE_TIMEOUT, 'the store');
    if (typeof answer === 'boolean') return answer;
    throw new TypeError('the store did not answer add with true or false');
  } catch (cause) {
    throw new UpstreamError('store_unavailable', 1, { cause });
  }
}

function readProof(req: IncomingMessage): CompactJws {
  const field = readField(req, 'dpop');
  if (field === undefined) throw new InvalidDpopProofError('proof_missing');
  if (field === 'several') throw new InvalidDpopProofError('several_proofs');
  return readMalformed(() => splitJws(field.value, MAX_PROOF_BYTES));
}

/** Reads a part of the JWT; where that is malformed, it is the proof and not the token that is. */
function readMalformed<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof InvalidTokenError) throw new InvalidDpopProofError('proof_malformed', { cause });
    throw cause;
  }
}

function readHeader(segment: string, algorithms: readonly string[]): ProofHeader {
  const { typ, alg, crit, jwk } = readMalformed(() => parseSegment(segment));
  if (typ !== 'dpop+jwt') refuse('proof_type_refused', 'typ', 'dpop+jwt', typ);
  if (typeof alg !== 'string' || !algorithms.includes(alg)) refuse('proof_algorithm_refused', 'alg', algorithms, alg);
  // RFC 7515 §4.1.11: whoever understands no extension must refuse those that have to be understood.
  if (crit !== undefined) refuse('proof_malformed', 'crit', undefined, crit);
  if (!isSafePublicJwk(jwk, MAX_RSA)) refuse('proof_key_refused', 'jwk', 'a public key, RSA from 2,048 to 4,096 bits');
  return { alg, jwk };
}

function readClaims(jws: CompactJws): Proof {
  const claims = readMalformed(() => parseSegment(jws.payload));
  const jti = claim(claims, 'jti');
  if (typeof jti !== 'string' || jti === '') refuse('proof_malformed', 'jti', 'a string', jti);
  const iat = readTime(claims, 'iat');
  if (iat === undefined) refuse('proof_malformed', 'iat', 'a finite number');
  for (const name of ['htm', 'htu', 'ath']) {
    const value = claim(claims, name);
    if (typeof value !== 'string') refuse('proof_malformed', name, 'a string', value);
  }
  return { jws, claims, jti, iat };
}

function readTime(claims: Claims, name: string): number | undefined {
  const value = claim(claims, name);
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value)) refuse('proof_malformed', name, 'a finite number', value);
  return value;
}

// The thumbprint first: a key that is not the token's need not be imported. It is judged as the issuer's keys are.
async function importKey({ alg, jwk }: ProofHeader, expected: string): Promise<ProofKey> {
  try {
    const thumbprint = await calculateJwkThumbprint(jwk, 'sha256');
    if (thumbprint !== expected) mismatch(expected, thumbprint);
    const key = await createKeySelector([jwk])({ alg });
    return { alg, thumbprint, key: KeyObject.from(key) };
  } catch (cause) {
    if (cause instanceof InvalidTokenError) throw cause;
    throw new InvalidDpopProofError('proof_key_refused', { cause });
  }
}

// RFC 9449 §7.1, Figure 16: a binding that is not confirmed is the token's failure and not the proof's.
function mismatch(expected: string, found: string): never {
  rejectToken('binding_mismatch', 'cnf.jkt', expected, found);
}

function refuse(reason: InvalidDpopProofReason, checked: string, expected?: unknown, found?: unknown): never {
  const cause: FailedCheck = { checked, expected, found };
  throw new InvalidDpopProofError(reason, { cause });
}

// A request may pass several middlewares, or one twice, also of two copies of the package: its proof is used once.
const CLAIMED = Symbol.for('express-resource-server.claimed-proofs.v1');

type Claiming = IncomingMessage & { [CLAIMED]?: readonly { readonly store: Store; readonly name: string }[] };

function hasClaimed(req: Claiming, store: Store, name: string): boolean {
  return req[CLAIMED]?.some((claimed) => claimed.store === store && claimed.name === name) ?? false;
}

function setClaimed(req: Claiming, store: Store, name: string): void {
  req[CLAIMED] = [...(req[CLAIMED] ?? []), { store, name }];
}
