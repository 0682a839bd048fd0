import { randomUUID } from 'node:crypto';
import type { IssueOptions } from './test-issuer-types.js';

/** What the claims of a test token say by default. */
export interface ClaimDefaults {
  readonly issuer: string;
  readonly audience: string;
  /** Seconds since the epoch. */
  readonly now: number;
}

type ClaimOptions = Pick<IssueOptions, 'clientId' | 'subject' | 'scopes' | 'audience' | 'expiresIn' | 'claims'>;

/** The claims of a valid access token (RFC 9068 §2.2); a member that is `undefined` is not a claim. */
export function accessTokenClaims(options: ClaimOptions, defaults: ClaimDefaults): Record<string, unknown> {
  const { clientId = 'test-client', subject, scopes, audience, expiresIn = 300, claims } = options;
  const { issuer, now } = defaults;
  return {
    iss: issuer,
    aud: audience ?? defaults.audience,
    sub: subject ?? clientId,
    client_id: clientId,
    scope: scopes?.join(' '),
    iat: now,
    exp: now + expiresIn,
    jti: randomUUID(),
    ...claims,
  };
}
