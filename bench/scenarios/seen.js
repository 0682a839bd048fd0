/** One token seen before, as a service sends it repeatedly: the remaining cost per request. */
import { busiestClient, CPU_COLUMNS, cpuCells, cpuFigures, ratioToBare } from '../harness/compare.js';
import { Fleet, interleave, warm } from '../harness/fleet.js';
import { saturate } from '../harness/load.js';
import { show, showSpread } from '../harness/stats.js';

export const title = 'One token seen before (HTTP, 50 connections)';

export async function run({ contenders, rounds, requests, warmUp, profileInto }) {
  const fleet = await Fleet.start('RS256', contenders, { profileInto });
  const token = await fleet.mint.valid();
  const load = (count) => (port) => saturate({ port, count, next: () => ({ token, isValid: true }) });
  await warm(fleet.names, warmUp, (name, count) => fleet.measure(name, load(count)));
  const results = await interleave(fleet.names, rounds, (name) => fleet.measure(name, load(requests)));
  await fleet.end();

  const throughput = (name) => ratioToBare(results, name, ({ perSecond }) => perSecond);
  return {
    columns: ['contender', ...CPU_COLUMNS, 'throughput × bare', '(rounds)'],
    rows: fleet.names.map((name) => {
      const ratio = throughput(name);
      return [name, ...cpuCells(results, name), show(ratio.median), name === 'bare' ? '–' : showSpread(ratio)];
    }),
    notes: [`load generator at most ${show(busiestClient(results) * 100)} % busy`],
    figures: Object.fromEntries(
      fleet.names.map((name) => [name, { ...cpuFigures(results, name), throughput: throughput(name) }]),
    ),
  };
}
