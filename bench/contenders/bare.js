import { CLIENT } from '../harness/tokens.js';

/** Express without protection, the baseline of all others. */
export function make() {
  return { middleware: (_req, _res, next) => next(), clientOf: () => CLIENT };
}
