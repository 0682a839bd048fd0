import { claim, type Claims } from './claims.js';
import { rejectToken } from './reject-token.js';
import { isPlainObject } from '../util/is-plain-object.js';

/** The keys that a token is bound to. A token without a binding is a bearer token. */
export interface Confirmation {
  /** RFC 9449 §6.1: the thumbprint (RFC 7638, SHA-256) of the key of DPoP proofs. */
  readonly jkt: string | undefined;
  /** RFC 8705 §3.1: the SHA-256 of the client certificate, in base64url. */
  readonly x5tS256: string | undefined;
  /** The names of other members, such as `jwk`, `kid` or `x5u`. They are not enforced. @default none */
  readonly ignored?: readonly string[] | undefined;
}

const ENFORCED = ['jkt', 'x5t#S256'];

const UNBOUND: Confirmation = { jkt: undefined, x5tS256: undefined };

/**
 * Reads `cnf` of a JWT or an introspection response. Other members than `jkt` and `x5t#S256` are ignored, as RFC 7800 §3.1
 * requires. A `cnf` that is not an object, or a binding that is not a string, is rejected. Inherited and computed members
 * count as well, because an own verifier may have built the claims and no binding must be overlooked.
 */
export function readConfirmation(claims: Claims): Confirmation {
  const confirmation = claims.cnf;
  if (confirmation === undefined || confirmation === null) return UNBOUND;
  if (!isPlainObject(confirmation)) rejectToken('claim_malformed', 'cnf', 'an object', confirmation);
  const ignored = Object.keys(confirmation).filter((name) => !ENFORCED.includes(name));
  return { jkt: readMember(confirmation, 'jkt'), x5tS256: readMember(confirmation, 'x5t#S256'), ignored };
}

/** Rejects a token without a binding (FAPI 2.0 §5.3.4). */
export function requireBinding(confirmation: Confirmation): void {
  const { jkt, x5tS256 } = confirmation;
  if (jkt !== undefined || x5tS256 !== undefined) return;
  rejectToken('binding_missing', 'cnf', 'jkt or x5t#S256', describeIgnored(confirmation));
}

/** For failed checks: the names of the members that were found and ignored, or `undefined`. */
export function describeIgnored({ ignored = [] }: Confirmation): string | undefined {
  return ignored.length === 0 ? undefined : `only members that are not enforced: ${ignored.slice(0, 10).join(', ')}`;
}

/**
 * Rejects a token of the type DPoP that is not bound to a key (RFC 9449 §5, §6): nobody can prove possession of
 * it, and it must not be accepted as a bearer token.
 */
export function checkDpopBinding(claims: Claims): void {
  if (!isDpopToken(claims) || readConfirmation(claims).jkt !== undefined) return;
  rejectToken('binding_missing', 'cnf.jkt', 'the thumbprint of a key, because the type is DPoP', undefined);
}

/** Whether the server says that the type of the token is DPoP. */
export function isDpopToken(claims: Claims): boolean {
  return namesDpop(claim(claims, 'token_type')) || namesDpop(claim(claims, 'typ'));
}

function namesDpop(type: unknown): boolean {
  if (typeof type === 'string') return type.toLowerCase() === 'dpop';
  return Array.isArray(type) && type.some((each) => typeof each === 'string' && each.toLowerCase() === 'dpop');
}

function readMember(confirmation: Claims, name: string): string | undefined {
  const value = confirmation[name];
  if (value === undefined || (typeof value === 'string' && value !== '')) return value;
  rejectToken('claim_malformed', `cnf.${name}`, 'a non-empty string', value);
}
