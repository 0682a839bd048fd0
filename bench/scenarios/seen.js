/** Tokens seen before, as services send them again and again: what is left to pay per request? */
import { YARDSTICK } from '../contenders/index.js';
import { addedCpu, busiestClient, CPU_COLUMNS, cpuCells, cpuFigures, ratioToBare } from '../harness/compare.js';
import { Fleet, freshRounds } from '../harness/fleet.js';
import { saturate } from '../harness/load.js';
import { show, showSpread } from '../harness/stats.js';

const TOKENS = 50;

export const title = `${TOKENS} tokens in turn, seen before (HTTP, 50 connections)`;

export async function run({ contenders, rounds, requests, warmUp, profileInto }) {
  const [bare, ...others] = contenders;
  const fleet = await Fleet.start('RS256', [bare, YARDSTICK, ...others], { profileInto });
  fleet.setting.tokens = await fleet.mint.many(TOKENS);
  const next = (i) => ({ token: fleet.setting.tokens[i % TOKENS], isValid: true });
  const load = (count) => (port) => saturate({ port, count, next });
  const results = await freshRounds(fleet, {
    rounds,
    warmUp: (name) => fleet.measure(name, load(warmUp)),
    measure: (name) => fleet.measure(name, load(requests)),
  });
  const { names } = fleet;
  await fleet.end();

  const throughput = (name) => ratioToBare(results, name, ({ perSecond }) => perSecond);
  const yardstick = addedCpu(results, YARDSTICK.name).median;
  const timesYardstick = (name) => addedCpu(results, name).median / yardstick;
  return {
    columns: ['contender', ...CPU_COLUMNS, '× yardstick', 'throughput × bare', '(rounds)'],
    rows: names.map((name) => {
      const ratio = throughput(name);
      const isBare = name === bare.name;
      const cells = [isBare ? '–' : show(timesYardstick(name)), show(ratio.median), isBare ? '–' : showSpread(ratio)];
      return [name, ...cpuCells(results, name), ...cells];
    }),
    notes: [`load generator at most ${show(busiestClient(results) * 100)} % busy`],
    figures: Object.fromEntries(
      names.map((name) => [
        name,
        { ...cpuFigures(results, name), throughput: throughput(name), timesYardstick: timesYardstick(name) },
      ]),
    ),
  };
}
