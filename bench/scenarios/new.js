/** Every token new, so that no cache helps: the cost of a verification. */
import { CPU_COLUMNS, cpuCells, cpuFigures } from '../harness/compare.js';
import { Fleet, interleave, warm } from '../harness/fleet.js';
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
  const tokens = await fleet.mint.many(warmUp + rounds * requests);
  const load = (first, count) => (port) =>
    saturate({ port, count, next: (i) => ({ token: tokens[first + i], isValid: true }) });
  await warm(fleet.names, warmUp, (name, count, first) => fleet.measure(name, load(first, count)));
  const results = await interleave(fleet.names, rounds, (name, round) =>
    fleet.measure(name, load(warmUp + round * requests, requests)),
  );
  await fleet.end();
  return { names: fleet.names, results };
}
