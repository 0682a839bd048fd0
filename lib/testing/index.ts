export { assertProtected, type AssertProtectedOptions, type ProtectionReport } from './assert-protected.js';
export type { ReceivedRequest } from './authorization-server.js';
export { fakeAuth, type FakeAuthOptions } from './fake-auth.js';
export { type RejectionCase, rejectionCases } from './rejection-cases.js';
export { createTestIssuer } from './test-issuer.js';
export type {
  InvalidTokenKind,
  IssueOptions,
  ProofOptions,
  TestIssuer,
  TestIssuerOptions,
} from './test-issuer-types.js';
export type { TestAlgorithm } from './test-key.js';
