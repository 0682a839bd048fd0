import type { FailedCheck } from '../errors.js';
import type { ConfigurationReason, Reason, UpstreamReason } from '../reasons.js';
import { parseUrl } from '../util/url.js';
import { isPlainObject } from '../util/is-plain-object.js';
import { ASYMMETRIC } from './algorithms.js';
import { isInMilliseconds } from './claim-checks.js';
import { claim, type Claims, readAudience, readClientId } from './claims.js';
import { isDpopToken } from './confirmation.js';

/** What is known of a token that was rejected. Nothing of it is verified. */
export interface TokenContext {
  readonly claims: Claims | undefined;
  /** The number of segments of the token. */
  readonly segments: number;
  /** Seconds since the epoch. */
  readonly now: number;
}

type FixRule = (failed: FailedCheck, context: TokenContext) => string | undefined;

const AUDIENCE_FIX =
  'Configure the server to put the identifier of this API into aud, or pass audience: false with another check.';

/** The parameters of a JWS header whose types are checked. */
const HEADER_PARAMETERS = ['alg', 'kid', 'typ'];

/** What to change, by reason. The rules look for the usual causes. */
const FIXES: Readonly<Record<Exclude<Reason, UpstreamReason | ConfigurationReason>, FixRule>> = {
  token_missing: () => 'Send the header Authorization: Bearer <token>.',
  scheme_missing: () => 'Send Authorization: Bearer <token>: there is no scheme before the token.',
  malformed_credentials: malformedFix,
  several_credentials: () => 'Send one token, in one place.',
  not_a_jwt: (_failed, { segments }) => notJwtFix(segments),
  malformed: malformedTokenFix,
  too_large: () => 'Request fewer scopes or claims, or raise maxTokenBytes.',
  type_refused: typeFix,
  id_token: () => 'This is an ID token. Send the access token; allowIdTokens: true accepts ID tokens on purpose.',
  algorithm_refused: ({ found }) => algorithmFix(found),
  critical_refused: () => 'Configure the server to issue tokens without the header member crit.',
  issuer_mismatch: issuerFix,
  audience_mismatch: audienceFix,
  audience_missing: () => AUDIENCE_FIX,
  expired: ({ found }, context) => expiredFix(found, context),
  not_yet_valid: ({ found }, context) => futureFix('nbf', found, context),
  issued_in_future: ({ found }, context) => futureFix('iat', found, context),
  too_old: () => 'Request a new token, or raise maxTokenAge.',
  claim_missing: ({ checked }) =>
    checked === 'exp'
      ? 'Every JWT needs exp. Configure the server to add it.'
      : `Configure the server to add the claim ${checked}, or do not require it.`,
  claim_malformed: ({ checked, expected }) =>
    `The server must write ${checked} with the type that its RFC defines: ${String(expected)}.`,
  unknown_key: ({ expected, found }) =>
    found !== undefined && [expected].flat().includes(found)
      ? 'The JWKS has a key with this id, but it is not for this algorithm: see its alg, use and key_ops.'
      : 'The key is not in the JWKS of the issuer. The token may come from another environment, or the keys were rotated.',
  signature_mismatch: () =>
    'The token was changed, or another server signed it under the same key id. Compare the JWKS with that server.',
  inactive: () =>
    'The token is unknown, expired or revoked at the server, or the server does not let this client introspect it.',
  rejected: () => 'The verifier of the application rejected the token.',
  binding_unproven: () => 'Send a DPoP proof or the client certificate, and turn on the option dpop or mtls.',
  binding_missing: (_failed, { claims = {} }) =>
    isDpopToken(claims)
      ? 'The type of the token is DPoP, but it names no key. Configure the server to write cnf.jkt.'
      : 'Request a sender-constrained token, or do not require one.',
  binding_mismatch: () => 'Use the key or certificate that the token was issued for.',
  certificate_missing: () =>
    'Send the client certificate; behind a proxy, set mtls.certificate to the header it writes.',
  certificate_malformed: () => 'Set the format in mtls.certificate to the one that the proxy writes.',
  several_proofs: () => 'Send exactly one DPoP header; a proxy may have added a second one.',
  proof_malformed: () => 'Create the proof as RFC 9449 §4.2 requires, with the claims jti, htm, htu, iat and ath.',
  proof_type_refused: () => 'Set typ in the header of the proof to dpop+jwt.',
  proof_algorithm_refused: () => 'Sign the proof with an algorithm of the option dpop.algorithms.',
  proof_key_refused: () =>
    'Put only the public key into the jwk of the proof: EC, OKP, or RSA from 2,048 to 4,096 bits.',
  proof_signature_mismatch: () => 'Sign the proof with the private key that belongs to its jwk.',
  proof_missing: () => 'Send a DPoP header with a proof for this request.',
  proof_uri_mismatch: () => 'Set baseUrl to the URL that callers use, or trust proxy if a proxy changes it.',
  proof_method_mismatch: () => 'Create one proof per request, for its method.',
  proof_replayed: () => 'Create a new proof for every request.',
  proof_too_old: () => 'Create the proof when the request is sent, and check both clocks.',
  proof_issued_in_future: () => 'Check the clock of the client.',
  proof_nonce_missing: () => 'Repeat the request with the nonce of the DPoP-Nonce header.',
  proof_nonce_refused: () => 'Repeat the request with the nonce of the DPoP-Nonce header.',
  proof_token_mismatch: () => 'The claim ath of the proof must be the hash of this token.',
  scope_missing: scopeFix,
  claim_mismatch: claimFix,
  authorization_details_missing: () =>
    'The client must request authorization_details of the type that the gate requires.',
  authentication_insufficient: ({ found }) =>
    isPlainObject(found) && isInMilliseconds(found.authTime)
      ? 'auth_time is in milliseconds. The server must write seconds.'
      : 'The user must log in again: send acr_values and max_age of the challenge to the authorization endpoint.',
  condition_failed: () => 'The predicate of requireThat did not return true for this request.',
  client_refused: clientFix,
  issuer_refused: ({ expected, found }) =>
    smallDifference([expected].flat(), [found], 'requireIssuer') ??
    'Add the issuer to requireIssuer, if its tokens may be used on this route.',
  machine_required: () =>
    'Nothing in the token proves the client-credentials grant. Pass the option isMachine if needed.',
  user_required: () => 'Nothing in the token proves that it was issued for a person. Pass the option isUser if needed.',
};

/** The sentence that says what to change; `undefined` if there is none. */
export function fixFor(reason: Reason, failed: FailedCheck | undefined, context: TokenContext): string | undefined {
  return Object.hasOwn(FIXES, reason)
    ? FIXES[reason as keyof typeof FIXES](failed ?? { checked: '', expected: undefined, found: undefined }, context)
    : undefined;
}

function malformedFix({ found }: FailedCheck): string {
  if (found === 'nothing') return 'The client sent the scheme without a token.';
  return found === 'a second scheme'
    ? 'Send the scheme once: Authorization: Bearer <token>. A function tokenFrom returns the token without its scheme.'
    : 'Send exactly Authorization: Bearer <token>, without quotes, line breaks and placeholders.';
}

function malformedTokenFix({ checked, expected }: FailedCheck): string {
  if (HEADER_PARAMETERS.includes(checked))
    return `The server must write ${checked} in the header as ${String(expected)}.`;
  if (checked === 'signature')
    return 'The token has no complete signature. It was cut off, or it is not signed (alg none): nobody may accept it.';
  return 'The token was cut off or changed on its way, or it has another format (PASETO, base64 with padding). Compare it with the one the server issued.';
}

function notJwtFix(segments: number): string {
  const opaque = 'an opaque token. Use introspectionBearer, or configure the server to issue JWTs for this API.';
  if (segments === 5) return 'The token is encrypted (JWE). Configure the authorization server to issue signed tokens.';
  return segments === 2
    ? `A JWT has three segments, and this token has two. It was cut off, or it is ${opaque}`
    : `This is probably ${opaque}`;
}

function algorithmFix(found: unknown): string {
  if (found === 'none') return 'The token is not signed. Nobody may accept it.';
  if (typeof found === 'string' && found.startsWith('HS'))
    return `The token is signed with ${found}, a shared secret. Pass the option secret, or let the server sign with a key pair.`;
  return ASYMMETRIC.some((algorithm) => algorithm === found)
    ? 'Add the algorithm to algorithms, or let the server sign with one that is accepted.'
    : `This package does not support this algorithm. Let the server sign with one of ${ASYMMETRIC.join(', ')}.`;
}

// The header of a JWT has one of several types; another kind of token shows itself in its content.
function typeFix({ expected, found }: FailedCheck): string {
  const type = typeof found === 'string' ? found.toLowerCase() : '';
  if (Array.isArray(expected) && !expected.includes('application/jwt') && ['', 'jwt', 'application/jwt'].includes(type))
    return 'Configure the server to issue access tokens of RFC 9068, with the typ at+jwt, or remove the profile.';
  return Array.isArray(expected) && !type.endsWith('jwt')
    ? 'Send the access token. If this is one, configure the server to write the typ at+jwt, JWT or nothing.'
    : 'Send the access token. This is another kind of token.';
}

function issuerFix({ expected, found }: FailedCheck): string {
  if (found === undefined || found === '')
    return 'The token has no iss. Configure the server to write its issuer into it.';
  if (typeof found !== 'string') return 'The server must write iss as a string.';
  return differenceFix('issuer', [expected].flat(), [found]);
}

function audienceFix({ expected, found }: FailedCheck, { claims = {} }: TokenContext): string | undefined {
  if (found === '' || (Array.isArray(found) && found.length === 0)) return `The token has no aud. ${AUDIENCE_FIX}`;
  if (typeof found !== 'string' && !Array.isArray(found))
    return 'The server must write aud as a string or an array of strings.';
  const wanted = [expected].flat();
  const clientId = readClientId(claims, undefined);
  if (clientId !== undefined && wanted.includes(clientId)) {
    return 'The audience in the options is the client id of the token. Pass the identifier of this API.';
  }
  if (clientId !== undefined && readAudience(claims).includes(clientId)) {
    return 'The audience of the token is its own client id. The client must request a token for this API (audience, resource or scope).';
  }
  const inToken = [found].flat();
  if (wanted.some((each) => inToken.some((other) => isListOf(each, other)))) {
    return 'The option audience has several values in one text. Pass an array with one audience per item.';
  }
  return inToken.some((each) => wanted.some((other) => isListOf(each, other)))
    ? 'The server writes several audiences into one text. It must write an array (RFC 7519 §4.1.3).'
    : differenceFix('audience', wanted, inToken);
}

/** Whether a text is a list of several values, and another text one of them. */
function isListOf(list: unknown, one: unknown): boolean {
  if (typeof list !== 'string' || typeof one !== 'string' || list === one) return false;
  return list.split(/[\s,;]+/).includes(one);
}

function clientFix({ expected, found }: FailedCheck): string {
  const { clientId } = isPlainObject(found) ? found : {};
  if (clientId === undefined) return 'The token does not say which client calls: see the option clientIdClaims.';
  const allowed = [expected].flat().map((each) => (isPlainObject(each) ? each.clientId : undefined));
  if (allowed.some((each) => isListOf(each, clientId))) {
    return 'requireClient has several clients in one text. Pass each as an argument of its own.';
  }
  return (
    smallDifference(allowed, [clientId], 'requireClient') ??
    'Add the client to requireClient, if it may call this route.'
  );
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function claimFix({ checked, expected, found }: FailedCheck, { claims = {} }: TokenContext): string {
  if (found === undefined) {
    const [outer = '', ...inner] = checked.split('.');
    return inner.length > 0 && isPlainObject(claim(claims, outer))
      ? `The token has the claim ${outer}, and a name is not a path: pass "${outer}" and a function of its value.`
      : `The token does not have the claim ${checked}.`;
  }
  const values = [found].flat();
  const isOtherType = [expected]
    .flat()
    .some((each) => values.some((other) => each !== other && textOf(each) === textOf(other)));
  return isOtherType
    ? 'The values differ only by their type, such as 1 and "1". Pass the type that the token has.'
    : (smallDifference([expected].flat(), values, 'requireClaim') ??
        'The gate requireClaim expects another value of this claim.');
}

/** Compares texts that should be equal, and names the usual small differences. */
function differenceFix(option: string, expected: readonly unknown[], found: readonly unknown[]): string {
  return (
    smallDifference(expected, found, option) ??
    `The token is for another ${option}. Compare the option ${option} with the token, character by character.`
  );
}

function smallDifference(expected: readonly unknown[], found: readonly unknown[], option: string): string | undefined {
  for (const one of expected) {
    for (const other of found) {
      if (typeof one !== 'string' || typeof other !== 'string') continue;
      const difference = differenceBetween(one, other);
      if (difference !== undefined) {
        return `They differ only by ${difference}. Set ${option} to exactly the value in the token, if it is right.`;
      }
    }
  }
  return undefined;
}

export function differenceBetween(one: string, other: string): string | undefined {
  if (one === other) return undefined;
  if (one.trim() === other.trim()) return 'white space around it';
  if (one.replace(/\/+$/, '') === other.replace(/\/+$/, '')) return 'the trailing slash';
  if (one.toLowerCase() === other.toLowerCase()) return 'letter case';
  if (one.replace(/^https?:/, '') === other.replace(/^https?:/, '')) return 'http: and https:';
  const withoutHost = (url: string): string =>
    url.replace(/\/\/(localhost|127\.0\.0\.1|\[::1\])(?=[:/]|$)/, '//loopback');
  if (withoutHost(one) === withoutHost(other)) return 'the name of the host (localhost, 127.0.0.1)';
  return /^https?:/.test(one) && parseUrl(one)?.origin === parseUrl(other)?.origin ? 'the path' : undefined;
}

function expiredFix(exp: unknown, { claims = {}, now }: TokenContext): string {
  const iat = claim(claims, 'iat');
  const age = typeof exp === 'number' ? `exp was ${duration(now - exp)} ago` : 'The token has expired';
  return typeof iat === 'number' && iat > now
    ? `${age}, and iat is in the future: check the clocks.`
    : `${age}. Request a new token; if it is new, check the clock of this machine.`;
}

function futureFix(name: string, value: unknown, { now }: TokenContext): string {
  if (isInMilliseconds(value)) return `${name} is in milliseconds. The server must write seconds (RFC 7519 §2).`;
  const distance = typeof value === 'number' ? duration(value - now) : 'some time';
  return `${name} is ${distance} in the future. Check the clock of this machine and of the authorization server.`;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} seconds`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} minutes`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} hours` : `${Math.round(seconds / 86_400)} days`;
}

function scopeFix({ expected, found }: FailedCheck, { claims = {} }: TokenContext): string {
  const [needed, granted] = [[expected].flat(), [found].flat()];
  if (granted.some((each) => needed.some((one) => isListOf(each, one)))) {
    return 'The server separates scopes by another character. It must write spaces between them (RFC 6749 §3.3).';
  }
  const difference = smallDifference(needed, granted, 'the scope of the gate');
  if (difference !== undefined) return difference;
  const other = ['permissions', 'roles', 'scopes', 'authorities'].find((name) => claim(claims, name) !== undefined);
  const request = 'The client must request the scope, and the server must allow it.';
  return other === undefined
    ? request
    : `${request} The token also has the claim ${other}: see the option scopeClaims.`;
}
