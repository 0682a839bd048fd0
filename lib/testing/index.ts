export type { ReceivedRequest } from './authorization-server.js';
export {
  createTestIssuer,
  type InvalidTokenKind,
  type IssueOptions,
  type ProofOptions,
  type TestIssuer,
  type TestIssuerOptions,
} from './test-issuer.js';
export type { TestAlgorithm } from './test-key.js';
