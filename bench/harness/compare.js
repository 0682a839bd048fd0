/** The common part of all HTTP scenarios: costs relative to bare Express and to the floor, round by round. */
import { figure, show, showSpread } from './stats.js';

/**
 * @param {Map<string, { cpu: number }[]>} results
 * @param {string} name
 */
export function addedCpu(results, name) {
  const bare = results.get('bare');
  return figure(results.get(name).map(({ cpu }, round) => cpu - bare[round].cpu));
}

/** @param {Map<string, object[]>} results @param {(result: any) => number} read */
export function ratioToBare(results, name, read) {
  const bare = results.get('bare');
  return figure(results.get(name).map((result, round) => read(result) / read(bare[round])));
}

/** Microseconds. Below this, noise is larger than the cost of the floor, and multiples of it have no meaning. */
const LEAST_FLOOR = 10;

/**
 * How many times the floor's added cost: the ratio of the two medians, not the median of the rounds' ratios, because a
 * single round's cost of the floor can be close to nothing on a busy machine.
 */
export function ratioToFloor(results, name) {
  const floor = addedCpu(results, 'floor').median;
  return floor < LEAST_FLOOR ? Number.NaN : addedCpu(results, name).median / floor;
}

export const CPU_COLUMNS = ['µs CPU', 'added', '(rounds)', '× floor'];

export function cpuCells(results, name) {
  const added = addedCpu(results, name);
  const cpu = show(figure(results.get(name).map((result) => result.cpu)).median);
  if (name === 'bare') return [cpu, '–', '–', '–'];
  return [cpu, show(added.median), showSpread(added), show(ratioToFloor(results, name))];
}

export function cpuFigures(results, name) {
  return {
    cpu: figure(results.get(name).map((result) => result.cpu)),
    addedCpu: addedCpu(results, name),
    timesFloor: ratioToFloor(results, name),
  };
}

/** The maximum load of the load generator: near 1, it was the bottleneck and throughput has little meaning. */
export function busiestClient(results) {
  return Math.max(...[...results.values()].flat().map(({ clientLoad }) => clientLoad));
}
