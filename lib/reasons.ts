/** Why a request could not be read. */
export type InvalidRequestReason = 'malformed_credentials' | 'several_credentials';

/** Why a token was refused. */
export type InvalidTokenReason =
  | 'malformed'
  | 'too_large'
  | 'type_refused'
  | 'id_token'
  | 'algorithm_refused'
  | 'critical_refused'
  | 'issuer_mismatch'
  | 'audience_mismatch'
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
  | 'inactive';

/** Why a DPoP proof was refused; the last two ask for another nonce. */
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

/** Why a gate said no. */
export type InsufficientScopeReason =
  | 'scope_missing'
  | 'claim_mismatch'
  | 'client_refused'
  | 'machine_required'
  | 'user_required'
  | 'authorization_details_missing'
  | 'condition_failed';

/** Why a person has to authenticate again. */
export type InsufficientAuthenticationReason = 'authentication_insufficient';

/** Which upstream could not be had. */
export type UpstreamReason =
  'metadata_unavailable' | 'keys_unavailable' | 'introspection_unavailable' | 'store_unavailable';

/** What the programmer has to mend. */
export type ConfigurationReason = 'option_invalid' | 'not_authenticated' | 'verifier_invalid';

/** The closed union of all reasons, for logs and metrics. */
export type Reason =
  | 'token_missing'
  | InvalidRequestReason
  | InvalidTokenReason
  | InvalidDpopProofReason
  | InsufficientScopeReason
  | InsufficientAuthenticationReason
  | UpstreamReason
  | ConfigurationReason;

// RFC 6750 §3 allows %x20-21 / %x23-5B / %x5D-7E in error_description: no quote, no backslash, no line break.
export const SENTENCES: Readonly<Record<Exclude<Reason, ConfigurationReason>, string>> = {
  token_missing: 'No access token was presented.',
  malformed_credentials: 'The credentials of the request are not well-formed.',
  several_credentials: 'The request carries more than one credential.',
  malformed: 'The access token is malformed.',
  too_large: 'The access token is too large.',
  type_refused: 'The token is not of a type that is accepted as an access token.',
  id_token: 'An ID token is not an access token.',
  algorithm_refused: 'The access token is signed with an algorithm that is not accepted.',
  critical_refused: 'The access token carries a critical extension that is not understood.',
  issuer_mismatch: 'The access token was issued by an issuer that is not trusted here.',
  audience_mismatch: 'The access token was issued for another audience.',
  expired: 'The access token has expired.',
  not_yet_valid: 'The access token is not valid yet.',
  issued_in_future: 'The access token was issued in the future.',
  too_old: 'The access token was issued too long ago.',
  claim_missing: 'The access token lacks a required claim.',
  claim_malformed: 'The access token carries a claim of the wrong type.',
  unknown_key: 'The access token was signed with an unknown key.',
  signature_mismatch: 'The signature of the access token does not verify.',
  inactive: 'The access token is not active: it is unknown, expired or revoked.',
  binding_unproven: 'The access token is bound to a key that the request does not prove.',
  binding_missing: 'The access token is not bound to a key, and only tokens that are bound are accepted.',
  binding_mismatch: 'The access token is bound to another key than the request proves.',
  certificate_missing: 'The request came without the client certificate that the access token is bound to.',
  certificate_malformed: 'The client certificate of the request cannot be read.',
  proof_missing: 'The request carries no DPoP proof.',
  several_proofs: 'The request carries more than one DPoP proof.',
  proof_malformed: 'The DPoP proof is malformed.',
  proof_type_refused: 'The DPoP proof is not of the type dpop+jwt.',
  proof_algorithm_refused: 'The DPoP proof is signed with an algorithm that is not accepted.',
  proof_key_refused: 'The key in the DPoP proof is no public key that is accepted.',
  proof_signature_mismatch: 'The signature of the DPoP proof does not verify.',
  proof_method_mismatch: 'The DPoP proof was made for another HTTP method.',
  proof_uri_mismatch: 'The DPoP proof was made for another URI.',
  proof_token_mismatch: 'The DPoP proof was made for another access token.',
  proof_too_old: 'The DPoP proof was made too long ago.',
  proof_issued_in_future: 'The DPoP proof was made in the future.',
  proof_replayed: 'The DPoP proof has been used before.',
  proof_nonce_missing: 'The DPoP proof needs the nonce of this server.',
  proof_nonce_refused: 'The nonce of the DPoP proof is not one of this server, or is too old.',
  scope_missing: 'The access token does not grant the scope that is needed here.',
  claim_mismatch: 'The access token does not carry the claim that is needed here.',
  client_refused: 'The client is not allowed here.',
  machine_required: 'Only a client acting on its own behalf is allowed here.',
  user_required: 'Only a client acting on behalf of a person is allowed here.',
  authorization_details_missing: 'The access token does not carry the authorization details that are needed here.',
  authentication_insufficient: 'The person has to authenticate again, more recently or in another way.',
  condition_failed: 'The access token does not meet the condition that is set here.',
  metadata_unavailable: 'The metadata of the authorization server cannot be had at the moment.',
  introspection_unavailable: 'The authorization server cannot be asked about the access token at the moment.',
  keys_unavailable: 'The keys of the authorization server cannot be had at the moment.',
  store_unavailable: 'Whether the DPoP proof has been used before cannot be told at the moment.',
};
