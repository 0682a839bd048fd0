/** The common part of all HTTP scenarios: costs relative to bare Express and to a yardstick, round by round. */
import { figure, show, showSpread } from './stats.js';

/** @param {Map<string, { cpu: number }[]>} results @param {string} name */
export function addedCpu(results, name) {
  const bare = results.get('bare');
  return figure(results.get(name).map(({ cpu }, round) => cpu - bare[round].cpu));
}

/** @param {Map<string, object[]>} results @param {(result: any) => number} read */
export function ratioToBare(results, name, read) {
  const bare = results.get('bare');
  return figure(results.get(name).map((result, round) => read(result) / read(bare[round])));
}

/** Microseconds. Multiples of less have no meaning: a rejection without work can cost less than bare Express. */
const LEAST_YARDSTICK = 1;

/**
 * How many times the yardstick's added cost: the ratio of the two medians, not the median of the rounds' ratios, because
 * a single round's cost of the yardstick can be close to nothing on a busy machine.
 */
function timesYardstick(results, name, yardstick) {
  const least = addedCpu(results, yardstick).median;
  return least < LEAST_YARDSTICK ? Number.NaN : addedCpu(results, name).median / least;
}

/**
 * @param {Map<string, object[]>} results
 * @param {string} yardstick  The name of a contender.
 */
export function costsOf(results, yardstick) {
  return Object.fromEntries(
    [...results].map(([name, rounds]) => [
      name,
      {
        cpu: figure(rounds.map(({ cpu }) => cpu)),
        addedCpu: addedCpu(results, name),
        timesYardstick: timesYardstick(results, name, yardstick),
        throughput: ratioToBare(results, name, ({ perSecond }) => perSecond),
      },
    ]),
  );
}

export const COST_COLUMNS = ['µs CPU', 'added', '(rounds)', '× yardstick', 'throughput × bare', '(rounds)'];

export function costCells(costs, name) {
  const { cpu, addedCpu: added, timesYardstick: times, throughput } = costs[name];
  if (name === 'bare') return [show(cpu.median), ...Array(5).fill('–')];
  return [
    ...[show(cpu.median), show(added.median), showSpread(added), show(times)],
    ...[show(throughput.median), showSpread(throughput)],
  ];
}

/** The maximum load of the load generator: near 1, it was the bottleneck and throughput has little meaning. */
export function busiestClient(results) {
  return Math.max(...[...results.values()].flat().map(({ clientLoad }) => clientLoad));
}
