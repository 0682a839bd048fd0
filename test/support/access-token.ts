import type { AccessToken } from '../../lib/index.js';

/** What a verifier may say of an opaque token of a person. */
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
