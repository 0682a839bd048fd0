/** Why a request counts as one without credentials. `scheme_missing`: a token without `Bearer` or `DPoP` before it. */
export type MissingTokenReason = 'token_missing' | 'scheme_missing';

/** Why the credentials of a request are rejected. */
export type InvalidRequestReason = 'malformed_credentials' | 'several_credentials';

/**
 * Why a token is rejected. `not_a_jwt`: the token does not have three segments, so it is probably an opaque token;
 * `malformed`: it has three segments, but is not a valid JWT. `rejected`: the general reason, for your own verifiers.
 */
export type InvalidTokenReason =
  | 'malformed'
  | 'not_a_jwt'
  | 'too_large'
  | 'type_refused'
  | 'id_token'
  | 'algorithm_refused'
  | 'critical_refused'
  | 'issuer_mismatch'
  | 'audience_mismatch'
  | 'audience_missing'
  | 'expired'
  | 'not_yet_valid'
  | 'issued_in_future'
  | 'too_old'
  | 'claim_missing'
  | 'claim_malformed'
  | 'unknown_key'
  | 'signature_mismatch'
  | 'binding_unproven'
  | 'binding_missing'
  | 'binding_mismatch'
  | 'certificate_missing'
  | 'certificate_malformed'
  | 'inactive'
  | 'rejected';

/** Why a DPoP proof is rejected. For the last two, the response contains the nonce to use. */
export type InvalidDpopProofReason =
  | 'proof_missing'
  | 'several_proofs'
  | 'proof_malformed'
  | 'proof_type_refused'
  | 'proof_algorithm_refused'
  | 'proof_key_refused'
  | 'proof_signature_mismatch'
  | 'proof_method_mismatch'
  | 'proof_uri_mismatch'
  | 'proof_token_mismatch'
  | 'proof_too_old'
  | 'proof_issued_in_future'
  | 'proof_replayed'
  | 'proof_nonce_missing'
  | 'proof_nonce_refused';

/** Why a gate rejects a request. */
export type InsufficientScopeReason =
  | 'scope_missing'
  | 'claim_mismatch'
  | 'client_refused'
  | 'issuer_refused'
  | 'machine_required'
  | 'user_required'
  | 'authorization_details_missing'
  | 'condition_failed';

/** Why the user must authenticate again. */
export type InsufficientAuthenticationReason = 'authentication_insufficient';

/** Which upstream is unavailable. */
export type UpstreamReason =
  'metadata_unavailable' | 'keys_unavailable' | 'introspection_unavailable' | 'store_unavailable';

/** What the programmer must fix. */
export type ConfigurationReason = 'option_invalid' | 'not_authenticated' | 'verifier_invalid';

/** The closed union of all reasons, for logs and metrics. `docs/errors.md` explains each of them. */
export type Reason =
  | MissingTokenReason
  | InvalidRequestReason
  | InvalidTokenReason
  | InvalidDpopProofReason
  | InsufficientScopeReason
  | InsufficientAuthenticationReason
  | UpstreamReason
  | ConfigurationReason;

/**
 * The sentence of each reason on the wire: `error_description`, and the message of the error. RFC 6750 §3 allows
 * %x20-21 / %x23-5B / %x5D-7E there: no quote, no backslash, no line break.
 */
export const SENTENCES: Readonly<Record<Exclude<Reason, ConfigurationReason>, string>> = {
  token_missing: 'No access token was presented.',
  scheme_missing: 'The Authorization header has no scheme. Use the Bearer scheme.',
  malformed_credentials: 'The credentials of the request are malformed.',
  several_credentials: 'The request carries more than one credential.',
  malformed: 'The access token is malformed.',
  not_a_jwt: 'The access token is not a JWT.',
  too_large: 'The access token is too large.',
  type_refused: 'The type of the token is not the type of an access token.',
  id_token: 'The token is an ID token, not an access token.',
  algorithm_refused: 'The access token is signed with an algorithm that is not accepted.',
  critical_refused: 'The access token has a critical extension that is not supported.',
  issuer_mismatch: 'The issuer of the access token is not trusted.',
  audience_mismatch: 'The access token was issued for another audience.',
  audience_missing: 'The access token has no audience.',
  expired: 'The access token has expired.',
  not_yet_valid: 'The access token is not valid yet.',
  issued_in_future: 'The access token was issued in the future.',
  too_old: 'The access token was issued too long ago.',
  claim_missing: 'The access token does not have a required claim.',
  claim_malformed: 'A claim of the access token has the wrong type.',
  unknown_key: 'The access token was signed with an unknown key.',
  signature_mismatch: 'The signature of the access token is invalid.',
  inactive: 'The access token is not active. It is unknown, expired or revoked.',
  rejected: 'The access token was rejected.',
  binding_unproven: 'The access token is bound to a key that the request does not prove.',
  binding_missing: 'The access token is not bound to a key, but a bound access token is required.',
  binding_mismatch: 'The access token is bound to a different key than the key of the request.',
  certificate_missing: 'The access token is bound to a client certificate, but the request has none.',
  certificate_malformed: 'The client certificate of the request is malformed.',
  proof_missing: 'The request carries no DPoP proof.',
  several_proofs: 'The request carries more than one DPoP proof.',
  proof_malformed: 'The DPoP proof is malformed.',
  proof_type_refused: 'The type of the DPoP proof is not dpop+jwt.',
  proof_algorithm_refused: 'The DPoP proof is signed with an algorithm that is not accepted.',
  proof_key_refused: 'The key in the DPoP proof is not accepted.',
  proof_signature_mismatch: 'The signature of the DPoP proof is invalid.',
  proof_method_mismatch: 'The DPoP proof was made for another HTTP method.',
  proof_uri_mismatch: 'The DPoP proof was made for another URI.',
  proof_token_mismatch: 'The DPoP proof was made for another access token.',
  proof_too_old: 'The DPoP proof is too old.',
  proof_issued_in_future: 'The DPoP proof was made in the future.',
  proof_replayed: 'The DPoP proof has been used before.',
  proof_nonce_missing: 'The DPoP proof has no nonce.',
  proof_nonce_refused: 'The nonce of the DPoP proof is invalid or too old.',
  scope_missing: 'The access token does not have the required scope.',
  claim_mismatch: 'The access token does not have the required claim value.',
  client_refused: 'The client is not allowed to use this resource.',
  issuer_refused: 'Tokens of this issuer are not allowed to use this resource.',
  machine_required: 'Only a client that acts on its own behalf can use this resource.',
  user_required: 'Only a client that acts on behalf of a user can use this resource.',
  authorization_details_missing: 'The access token does not have the required authorization details.',
  authentication_insufficient: 'A stronger or more recent authentication of the user is required.',
  condition_failed: 'The access token does not meet a condition of this resource.',
  metadata_unavailable: 'The metadata of the authorization server is temporarily unavailable.',
  introspection_unavailable: 'The introspection of access tokens is temporarily unavailable.',
  keys_unavailable: 'The keys of the authorization server are temporarily unavailable.',
  store_unavailable: 'The store of this API is temporarily unavailable.',
};
