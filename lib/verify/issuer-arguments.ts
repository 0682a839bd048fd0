import { assertNotRequest } from '../options.js';
import { problem } from './dynamic-issuers.js';
import { introspectionVerifier } from './introspection.js';
import { jwtVerifier } from './jwt.js';
import { isVerifier } from './wrap-verifier.js';

/** Checks for mistakes in the arguments of `trustedIssuers` that would be silent, or have a misleading message. */
export function checkArguments(verifiers: unknown, options: unknown): void {
  assertNotRequest('trustedIssuers', verifiers);
  const list = 'an array of verifiers, or a function of iss';
  if (isVerifier(verifiers) && isVerifier(options)) {
    throw problem(list, 'several arguments', 'Pass one array: trustedIssuers([first, second]).');
  }
  if (isVerifier(verifiers)) throw problem(list, 'a verifier', 'Pass an array: trustedIssuers([verifier]).');
  if (typeof verifiers !== 'function') return;
  const isFactory = verifiers === jwtVerifier || verifiers === introspectionVerifier;
  if (isFactory || verifiers.length > 2) {
    const fix = 'Call it: trustedIssuers([jwtVerifier({ … })]). A middleware is not a verifier.';
    throw problem(list, isFactory ? 'a function that was not called' : 'a middleware', fix);
  }
}
