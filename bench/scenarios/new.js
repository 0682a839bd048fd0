/** Every token new, so that no cache helps: the cost of a verification. */
import { CPU_COLUMNS, cpuCells, cpuFigures } from '../harness/compare.js';
import { Fleet, freshRounds } from '../harness/fleet.js';
import { saturate } from '../harness/load.js';

export const title = 'Every token new (HTTP, 50 connections)';

const NONE = CPU_COLUMNS.map(() => '–');

export async function run({ contenders, rounds, requests, warmUp, algorithms, profileInto }) {
  const figures = {};
  const rows = [];
  for (const alg of algorithms) {
    const { names, results } = await measure(alg, { contenders, rounds, requests, warmUp, profileInto });
    rows.push(...contenders.map(({ name }) => [name, alg, ...(names.includes(name) ? cpuCells(results, name) : NONE)]));
    figures[alg] = Object.fromEntries(names.map((name) => [name, cpuFigures(results, name)]));
  }
  return { columns: ['contender', 'alg', ...CPU_COLUMNS], rows, notes: ['–: not supported'], figures };
}

async function measure(alg, { contenders, rounds, requests, warmUp, profileInto }) {
  const fleet = await Fleet.start(alg, contenders, { profileInto });
  // New processes have seen no token, so each round can send the same ones.
  const tokens = await fleet.mint.many(warmUp + requests);
  const load = (first, count) => (port) =>
    saturate({ port, count, next: (i) => ({ token: tokens[first + i], isValid: true }) });
  const results = await freshRounds(fleet, {
    rounds,
    warmUp: (name) => fleet.measure(name, load(0, warmUp)),
    measure: (name) => fleet.measure(name, load(warmUp, requests)),
  });
  const { names } = fleet;
  await fleet.end();
  return { names, results };
}
