/** The limits that this package sets itself, compared with the measured results. */
import { MAP_LOOKUP, OPAQUE_CACHED, OURS, PEERS, UNCACHED } from './contenders/index.js';
import { show } from './harness/stats.js';

/** Limits of medians. Times are in microseconds of CPU, added to bare Express. */
export const LIMITS = {
  cached: { added: 9, throughput: 0.95 },
  inProcess: 2,
  new: { timesYardstick: 1.35 },
  uncached: { timesYardstick: 1.25 },
  wrongSignatures: { added: 45, p99TimesBare: 1.4 },
  unknownKids: { added: 15 },
};

/** @param {Record<string, any>} results  The results of the scenarios by name; the ones that did not run are absent. */
export function compareWithTargets(results) {
  const rows = [];
  const atMost = (what, value, limit) => rows.push([what, show(value), `≤ ${limit}`, result(value, value <= limit)]);
  const atLeast = (what, value, limit) => rows.push([what, show(value), `≥ ${limit}`, result(value, value >= limit)]);
  const below = (what, value, limit, of) =>
    rows.push([what, show(value), `< ${show(limit)} (${of})`, result(value, value < limit)]);
  const of = (scenario) => results[scenario]?.figures;

  for (const [scenario, { name }] of [
    ['seen', OURS],
    ['opaque', OPAQUE_CACHED],
  ]) {
    const costs = of(scenario)?.[name];
    if (costs === undefined) continue;
    atMost(`${scenario}: µs CPU added`, costs.addedCpu.median, LIMITS.cached.added);
    atLeast(`${scenario}: throughput × bare`, costs.throughput.median, LIMITS.cached.throughput);
  }
  const inProcess = of('seen-in-process');
  if (inProcess) atMost('seen-in-process: µs CPU per call', inProcess[OURS.name].perCall.median, LIMITS.inProcess);
  for (const [alg, figures] of Object.entries(of('new') ?? {})) {
    atMost(`new, ${alg}: added × yardstick`, figures[OURS.name].timesYardstick, LIMITS.new.timesYardstick);
    atMost(
      `new, ${alg}, cache: false: added × yardstick`,
      figures[UNCACHED.name].timesYardstick,
      LIMITS.uncached.timesYardstick,
    );
    const best = bestPeer(figures);
    if (best) below(`new, ${alg}: µs CPU added`, figures[OURS.name].addedCpu.median, best.added, best.name);
  }
  const invalid = of('invalid-signatures')?.[OURS.name];
  if (invalid) {
    atMost('invalid-signatures: µs CPU added', invalid.addedCpu.median, LIMITS.wrongSignatures.added);
    atMost('invalid-signatures: p99 × bare', invalid.p99TimesBare.median, LIMITS.wrongSignatures.p99TimesBare);
  }
  const unknown = of('unknown-kids');
  if (unknown) {
    atMost('unknown-kids: µs CPU added', unknown[OURS.name].addedCpu.median, LIMITS.unknownKids.added);
    atMost('unknown-kids: p99 × bare', unknown[OURS.name].p99TimesBare.median, 1.2);
    const extra = unknown[OURS.name].addedCpu.median - unknown[MAP_LOOKUP.name].addedCpu.median;
    rows.push(['unknown-kids: µs CPU beyond a rejection without work', show(extra), '', '']);
  }
  const { replay, ...proofs } = of('dpop') ?? {};
  for (const [alg, { timesJose }] of Object.entries(proofs)) {
    atMost(`dpop, ${alg}: request × one jose verify`, timesJose.median, 1.5);
  }
  if (replay) atMost('dpop: memory when full, after as many more', replay.growth, 1.05);
  const start = of('start')?.[OURS.name];
  if (start) {
    atMost('start: import ms', start.imported.median, 55);
    atMost('start: installed KiB', start.kib, 1536);
    atMost('start: packages', start.packages, 5);
  }
  const memory = of('memory');
  if (memory) {
    atMost('memory: bytes per cached token', memory.perToken, 1536);
    atMost('memory: last sample × first full one', memory.growth, 1.05);
  }
  const listeners = of('listeners')?.['nothing-listens'];
  if (listeners) atMost('listeners: nothing listens × without channels', listeners.ratio, 1.02);
  return { columns: ['target', 'measured', 'limit', ''], rows };
}

const result = (value, isMet) => {
  if (!Number.isFinite(value)) return 'unclear';
  return isMet ? 'met' : 'missed';
};

/**
 * The peer that adds the least CPU time.
 *
 * @param {Record<string, any>} figures  By contender.
 */
export function bestPeer(figures) {
  const peers = PEERS.filter(({ name }) => name in figures);
  const costs = peers.map(({ name }) => ({ name, added: figures[name].addedCpu.median }));
  return costs.sort((a, b) => a.added - b.added)[0];
}
