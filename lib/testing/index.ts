export { type Fault } from './faults.js';
export { type IntrospectionRequest, type SignedResponseChanges, TestIntrospection } from './introspection.js';
export {
  type IssueOptions,
  type IssuerDocument,
  makeSigningKey,
  type SigningKey,
  TestIssuer,
  type TestIssuerOptions,
} from './issuer.js';
