import type { AccessToken } from '../../lib/index.js';

/** An access token that a verifier may return for an opaque token of a user. */
export const ACCESS_TOKEN: AccessToken = {
  format: 'opaque',
  issuer: 'https://auth.example.com',
  subject: 'alice',
  clientId: 'shop',
  isMachine: false,
  isUser: true,
  actor: undefined,
  scopes: ['a'],
  audience: [],
  expiresAt: undefined,
  issuedAt: undefined,
  claims: { sub: 'alice' },
  header: undefined,
};
