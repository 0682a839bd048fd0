import { CLIENT } from '../harness/tokens.js';

/** Express that protects nothing: what all others are measured against. */
export function make() {
  return { middleware: (_req, _res, next) => next(), clientOf: () => CLIENT };
}
