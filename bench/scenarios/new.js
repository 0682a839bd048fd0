/** Every token new, so that no cache helps: the cost of a verification. */
import { BARE, CRYPTO_VERIFY, OURS, UNCACHED } from '../contenders/index.js';
import { COST_COLUMNS, costCells, costsOf } from '../harness/compare.js';
import { Fleet, validRounds } from '../harness/fleet.js';

export const title = 'Every token new (HTTP, 50 connections)';

const NONE = COST_COLUMNS.map(() => '–');

export async function run({ peers, algorithms, rounds, ...plan }) {
  const contenders = [BARE, CRYPTO_VERIFY, OURS, UNCACHED, ...peers];
  const figures = {};
  const rows = [];
  for (const alg of algorithms) {
    // Most authorization servers sign with RS256.
    figures[alg] = await measure(alg, contenders, {
      rounds: alg === 'RS256' ? rounds : Math.ceil(rounds / 2),
      ...plan,
    });
    const cells = (name) => (name in figures[alg] ? costCells(figures[alg], name) : NONE);
    rows.push(...contenders.map(({ name }) => [name, alg, ...cells(name)]));
  }
  return { columns: ['contender', 'alg', ...COST_COLUMNS], rows, notes: ['–: not supported'], figures };
}

async function measure(alg, contenders, { profileInto, ...plan }) {
  const fleet = await Fleet.start(alg, contenders, { profileInto });
  const tokens = await fleet.mint.many(plan.warmUp + plan.requests);
  const results = await validRounds(fleet, { tokens, ...plan });
  await fleet.end();
  return costsOf(results, CRYPTO_VERIFY.name);
}
