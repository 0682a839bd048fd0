/** The number of issuers of `trustedIssuers`, with as many tokens of each. */
import { TRUSTED_ISSUERS } from '../contenders/index.js';
import { grow } from '../harness/grow.js';

export const title = 'Issuers (trustedIssuers)';

const SIZES = [1, 10, 100];
const TOKENS = 100;

export function run(plan) {
  const points = SIZES.map((issuers) => ({
    label: `${issuers}`,
    x: issuers,
    fleet: { issuers },
    count: TOKENS,
    tokens: tokensOfAll,
    ours: () => TRUSTED_ISSUERS,
  }));
  return grow(plan, points);
}

/** The tokens of the issuers in turn. */
async function tokensOfAll({ mints }, count) {
  const each = await Promise.all(mints.map((mint) => mint.many(Math.ceil(count / mints.length))));
  return each[0].flatMap((_, i) => each.map((tokens) => tokens[i]));
}
