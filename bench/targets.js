/** The limits that this package sets itself, compared with the measured results. */
import { show } from './harness/stats.js';

const OURS = 'express-resource-server';

/**
 * @param {Record<string, any>} results  The results of the scenarios by name; the ones that did not run are absent.
 * @param {import('./contenders/index.js').Contender[]} contenders
 */
export function compareWithTargets(results, contenders) {
  const rows = [];
  const atMost = (what, value, limit) => rows.push([what, show(value), `≤ ${limit}`, result(value, value <= limit)]);
  const atLeast = (what, value, limit) => rows.push([what, show(value), `≥ ${limit}`, result(value, value >= limit)]);
  const of = (name) => results[name]?.figures;

  const seen = of('seen')?.[OURS];
  if (seen) {
    atMost('seen: µs CPU added', seen.addedCpu.median, 9);
    atMost('seen: added × yardstick', seen.timesYardstick, 1.9);
    atLeast('seen: throughput × bare', seen.throughput.median, 0.95);
  }
  const inProcess = of('seen-in-process')?.[OURS];
  if (inProcess) atMost('seen-in-process: µs per call', inProcess.perCall.median, 2);
  const opaque = of('opaque');
  if (opaque) {
    atMost('opaque: cached × cached JWT', opaque.calls.ratio, 1.15);
    atMost('opaque: as long as the JWT × cached JWT', opaque.calls.ratioOfLong, 1.15);
  }
  for (const [alg, figures] of Object.entries(of('new') ?? {})) {
    const best = bestPeer(figures, contenders);
    atMost(`new, ${alg}: added × floor`, figures[OURS].timesFloor, 1.35);
    if (best) {
      const { name, added } = best;
      const own = figures[OURS].addedCpu.median;
      rows.push([`new, ${alg}: µs CPU added`, show(own), `< ${show(added)} (${name})`, result(own, own < added)]);
    }
  }
  const invalid = of('invalid-signatures')?.[OURS];
  if (invalid) {
    atMost('invalid-signatures: added × floor', invalid.timesFloor, 1.4);
    atMost('invalid-signatures: p99 × bare', invalid.p99Ratio.median, 1.5);
  }
  const unknown = of('unknown-kids')?.[OURS];
  if (unknown) {
    atMost('unknown-kids: µs CPU added', unknown.addedCpu.median, 40);
    atMost('unknown-kids: p99 × bare', unknown.p99Ratio.median, 1.2);
  }
  const { replay, ...proofs } = of('dpop') ?? {};
  for (const [alg, { timesJose }] of Object.entries(proofs)) {
    atMost(`dpop, ${alg}: request × one jose verify`, timesJose.median, 1.5);
  }
  if (replay) atMost('dpop: memory when full, after as many more', replay.growth, 1.05);
  const start = of('start')?.[OURS];
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

function bestPeer(figures, contenders) {
  const peers = contenders.filter(({ name, role }) => role === 'peer' && name in figures);
  const costs = peers.map(({ name }) => ({ name, added: figures[name].addedCpu.median }));
  return costs.sort((a, b) => a.added - b.added)[0];
}
