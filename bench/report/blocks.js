/** The measured parts of docs/performance.md, in Markdown. */
import { CRYPTO_VERIFY, MAP_LOOKUP, OPAQUE_CACHED, OPAQUE_NAIVE, OURS, PEERS, UNCACHED } from '../contenders/index.js';
import { bestPeer, LIMITS } from '../targets.js';
import { brief, labelOf, ratio } from './labels.js';

const SELF = OURS.name;

/**
 * @param {object} main  What `npm run bench -- --json` writes.
 * @param {object} growth  The same with `--growth`.
 * @returns {Record<string, string>} by name of the block
 */
export function blocksOf(main, growth) {
  return {
    cost: cost(main.results),
    measures: [machineOf(main), measures(main.results), sizes(main.results)].join('\n\n'),
    packages: packages(main.results),
    growth: [...warningsOf(growth), growthTable(growth.results)].join('\n\n'),
  };
}

function cost({ seen, new: fresh, memory }) {
  const { median, min, max } = seen.figures[SELF].addedCpu;
  const { [SELF]: ours, [CRYPTO_VERIFY.name]: verify } = fresh.figures.RS256;
  return wrap(
    `**Cost**: a cached token adds ${brief(median)} µs of CPU to a request (single rounds: ${brief(min)} to ${brief(max)}),` +
      ` and takes ${brief(memory.figures.perToken / 1024)} KiB of memory. A new RS256 token adds` +
      ` ${brief(ours.addedCpu.median)} µs; one \`crypto.verify\` alone adds ${brief(verify.addedCpu.median)} µs.`,
  );
}

function machineOf(run) {
  const { cpu, cores, node } = run.machine;
  const where = `${cpu} with ${cores} cores, Node.js ${node.slice(1)} and Express ${run.versions.express}`;
  return wrap([`Measured in one run on ${where}.`, ...warningsOf(run)].join(' '));
}

function warningsOf({ machine, isQuick }) {
  const reasons = [...(isQuick ? ['the run was quick'] : []), ...(machine.isBusy ? ['the machine was busy'] : [])];
  return reasons.length > 0 ? [`The figures are not exact, because ${reasons.join(' and ')}.`] : [];
}

function measures(results) {
  const {
    seen,
    opaque,
    new: fresh,
  } = Object.fromEntries(Object.entries(results).map(([name, { figures }]) => [name, figures]));
  const [invalid, unknown] = [results['invalid-signatures'].figures, results['unknown-kids'].figures];
  const rows = [
    costRow('cached token, 50 distinct ones', seen, SELF, MAP_LOOKUP, withThroughput, cachedGoal()),
    costRow('cached opaque token', { ...opaque }, OPAQUE_CACHED.name, MAP_LOOKUP, withThroughput, cachedGoal()),
    ...Object.entries(fresh).flatMap(([alg, figures]) => [
      costRow(`new token, ${alg}`, figures, SELF, CRYPTO_VERIFY, plain, `≤ ${LIMITS.new.timesYardstick} × yardstick`),
      costRow(
        `the same, \`cache: false\``,
        figures,
        UNCACHED.name,
        CRYPTO_VERIFY,
        plain,
        `≤ ${LIMITS.uncached.timesYardstick} × yardstick`,
      ),
    ]),
    costRow(
      '95 % wrong signatures',
      invalid,
      SELF,
      CRYPTO_VERIFY,
      withP99,
      `≤ ${LIMITS.wrongSignatures.added}; p99 ≤ ${LIMITS.wrongSignatures.p99TimesBare} ×`,
    ),
    costRow('95 % unknown key ids', unknown, SELF, MAP_LOOKUP, withP99, `≤ ${LIMITS.unknownKids.added}`),
    inProcessRow(results['seen-in-process'].figures),
  ];
  return table(['measure', 'this package', 'best peer', 'yardstick', 'goal'], rows);
}

function costRow(measure, figures, name, yardstick, cell, goal) {
  // The naive introspection of each token is no package.
  const best = OPAQUE_NAIVE.name in figures ? undefined : bestPeer(figures);
  const peer = best === undefined ? '–' : `${labelOf(best.name)}: ${cell(figures[best.name])}`;
  return [measure, cell(figures[name]), peer, cell(figures[yardstick.name]), goal];
}

const plain = ({ addedCpu }) => brief(addedCpu.median);
const withThroughput = (figures) => `${plain(figures)}; ${ratio(figures.throughput.median)} ×`;
const withP99 = (figures) => `${plain(figures)}; p99 ${ratio(figures.p99TimesBare.median)} ×`;
const cachedGoal = () => `≤ ${LIMITS.cached.added}; ≥ ${LIMITS.cached.throughput} ×`;

function inProcessRow(figures) {
  const cell = (name) => brief(figures[name].perCall.median);
  const peers = PEERS.filter(({ name }) => name in figures);
  const [best] = peers.sort((a, b) => figures[a.name].perCall.median - figures[b.name].perCall.median);
  const peer = best === undefined ? '–' : `${labelOf(best.name)}: ${cell(best.name)}`;
  return ['cached, in process', cell(SELF), peer, cell(MAP_LOOKUP.name), `≤ ${LIMITS.inProcess}`];
}

function sizes({ memory, dpop }) {
  const { replay, ...algorithms } = dpop.figures;
  const times = Object.values(algorithms).map(({ timesJose }) => timesJose.median);
  const [least, most] = [Math.min(...times), Math.max(...times)].map(ratio);
  return wrap(
    `A cached token takes ${brief(memory.figures.perToken / 1024)} KiB of memory. A DPoP proof costs ${least} to ${most} of one` +
      ` verification by jose, and takes ${brief(replay.perProof)} bytes.`,
  );
}

function packages(results) {
  const { RS256, ES256, EdDSA } = results.new.figures;
  const added = (figures, name) => (name in figures ? brief(figures[name].addedCpu.median) : '–');
  const floods = ['invalid-signatures', 'unknown-kids'].map((scenario) => results[scenario].figures);
  const rows = [SELF, ...PEERS.map(({ name }) => name)]
    .filter((name) => name in results.seen.figures)
    .map((name) => [
      labelOf(name),
      ...[results.seen.figures, RS256, ES256, EdDSA, ...floods].map((figures) => added(figures, name)),
      floods[1][name].jwksRequests.toLocaleString('en-US'),
      brief(results.start.figures[name].added.median),
    ]);
  const columns = ['', 'cached', 'new RS256', 'new ES256', 'new EdDSA', 'wrong signatures', 'unknown key ids'];
  return table([...columns, 'JWKS requests', 'start, ms'], rows);
}

function growthTable(results) {
  const rows = Object.values(results).flatMap(({ title, figures }) =>
    ['cached', 'new'].flatMap((kind) => {
      const points = figures.filter((point) => point.kind === kind);
      if (points.length === 0) return [];
      const cell = ({ label, ours }) => `${label}: ${brief(ours.addedCpu.median)}`;
      return [[title, kind, points.map(cell).join(' · ')]];
    }),
  );
  return table(['', 'tokens', 'µs of CPU added'], rows);
}

/** Lines of at most 120 characters. */
function wrap(text) {
  return text.replaceAll(/(.{1,120})(?: |$)/g, '$1\n').trimEnd();
}

/** A table as Prettier formats it. */
function table(columns, rows) {
  const widths = columns.map((column, i) =>
    Math.max(3, ...[column, ...rows.map((row) => row[i])].map((c) => c.length)),
  );
  const line = (cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`;
  return [line(columns), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join('\n');
}
