import { encode, sha256 } from './test-key.js';
import type { InvalidTokenKind, TestIssuer } from './test-issuer-types.js';

/** A request that every protected route must reject. */
export interface RejectionCase {
  /** What is wrong, for the name of a test. */
  readonly name: string;
  /** The header fields of the request; empty for a request without credentials. */
  readonly headers: Readonly<Record<string, string>>;
  /** The status of the response: 401 or 400. */
  readonly status: 400 | 401;
}

/** What `issueInvalid` returns, for each of its kinds. */
const INVALID_TOKENS: Readonly<Record<InvalidTokenKind, string>> = {
  expired: 'an expired token',
  notYetValid: 'a token that is not valid yet',
  wrongAudience: 'a token for another API',
  wrongIssuer: 'a token of another issuer',
  unknownKey: 'a token that is signed with an unknown key',
  wrongSignature: 'a token with the signature of another key',
  algNone: 'a token without a signature (alg none)',
  idToken: 'an ID token',
  opaque: 'an opaque token that the issuer does not know',
};

/**
 * Yields requests that every protected route must reject, whatever its method and gates, by JWT verification and by
 * introspection: no credentials, malformed headers, invalid and altered tokens, and sender-constrained tokens without
 * their proof (RFC 6750 §3.1, RFC 7519 §4.1, RFC 8725, RFC 9449 §7.1). Routes behind `optional: true` accept the first
 * two. Each call issues new tokens; send them while the issuer's clock and audience are those of the API.
 */
export function* rejectionCases(issuer: TestIssuer): Generator<RejectionCase, void, undefined> {
  const valid = issuer.issue();
  yield { name: 'no credentials', headers: {}, status: 401 };
  yield withHeader('another scheme', `Basic ${Buffer.from('client:secret').toString('base64')}`);
  yield withHeader('a token without a scheme', valid);
  yield withHeader('a scheme without a token', 'Bearer', 400);
  yield withHeader('a token that contains a space', `Bearer ${valid} ${valid}`, 400);
  yield withHeader('two credentials in one header', `Bearer ${valid}, Bearer ${valid}`, 400);
  yield withHeader('a token that is neither a JWT nor known', 'Bearer a.b.c');
  for (const [kind, name] of Object.entries(INVALID_TOKENS)) {
    yield withHeader(name, `Bearer ${issuer.issueInvalid(kind as InvalidTokenKind)}`);
  }
  const [header = '', payload = '', signature = ''] = valid.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
  yield withHeader(
    'a token whose claims were changed',
    `Bearer ${header}.${encode({ ...claims, scope: 'admin' })}.${signature}`,
  );
  yield withHeader('a token whose signature was changed', `Bearer ${header}.${payload}.${flipFirst(signature)}`);
  yield withHeader('a token whose signature was removed', `Bearer ${header}.${payload}.`);
  const bound = issuer.issue({ dpop: true });
  yield withHeader('a token bound to a key (DPoP), sent as Bearer', `Bearer ${bound}`);
  yield withHeader('a token bound to a key (DPoP), without a proof', `DPoP ${bound}`);
  const thumbprint = sha256('a certificate');
  const toCertificate = issuer.issue({ claims: { cnf: { 'x5t#S256': thumbprint } } });
  yield withHeader('a token bound to a certificate that the client does not have', `Bearer ${toCertificate}`);
}

function withHeader(name: string, authorization: string, status: 400 | 401 = 401): RejectionCase {
  return { name, headers: { authorization }, status };
}

/** Changes the first character; the last one may contain bits that do not count. */
function flipFirst(text: string): string {
  return `${text.startsWith('A') ? 'B' : 'A'}${text.slice(1)}`;
}
