/** The size of the payload: a list of groups makes it larger. */
import { grow } from '../harness/grow.js';
import { claimsOfSize } from '../harness/tokens.js';

export const title = 'Payload, KiB';

const SIZES = [0.5, 2, 8];

export function run(plan) {
  const points = SIZES.map((kib) => ({
    label: `${kib}`,
    x: kib,
    tokens: ({ mint }, count) => mint.many(count, claimsOfSize(mint.issuer, kib * 1024)),
  }));
  return grow(plan, points);
}
