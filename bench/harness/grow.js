/** The common part of all growth scenarios: this package at several sizes, beside bare Express and a yardstick. */
import { BARE, CRYPTO_VERIFY, MAP_LOOKUP, OURS } from '../contenders/index.js';
import { COST_COLUMNS, costCells, costsOf } from './compare.js';
import { Fleet, validRounds } from './fleet.js';

const YARDSTICKS = { cached: MAP_LOOKUP, new: CRYPTO_VERIFY };
const CACHED_TOKENS = 50;

/**
 * @typedef {object} Point  One size.
 * @property {string} label
 * @property {number} [x]  Its place on the axis; the plot of sizes without one has bars.
 * @property {('cached' | 'new')[]} [kinds]
 * @property {(kind: string) => import('../contenders/index.js').Contender} [ours]
 * @property {import('./fleet.js').FleetOptions} [fleet]
 * @property {(fleet: Fleet, count: number) => Promise<string[]>} [tokens]
 * @property {number} [count]  Distinct cached tokens.
 * @property {number} [warmUp]
 * @property {number} [requests]
 * @property {number} [connections]
 *
 * @param {object} plan
 * @param {Point[]} points
 */
export async function grow(plan, points) {
  const measured = [];
  for (const point of points) {
    for (const kind of point.kinds ?? ['cached', 'new']) {
      const costs = await measure(plan, point, kind);
      const { [YARDSTICKS[kind].name]: yardstick, [BARE.name]: bare, ...ours } = costs;
      measured.push({ label: point.label, x: point.x, kind, bare, yardstick, ours: Object.values(ours)[0], costs });
    }
  }
  return {
    columns: ['', 'tokens', 'contender', ...COST_COLUMNS],
    rows: measured.flatMap(({ label, kind, costs }) =>
      Object.keys(costs).map((name) => [label, kind, name, ...costCells(costs, name)]),
    ),
    notes: [],
    figures: measured.map(({ label, x, kind, bare, yardstick, ours }) => ({ label, x, kind, bare, yardstick, ours })),
  };
}

async function measure(plan, point, kind) {
  const { profileInto, rounds } = plan;
  const { warmUp = plan.warmUp, requests = plan.requests, connections, ours = () => OURS } = point;
  const contenders = [BARE, YARDSTICKS[kind], ours(kind)];
  const fleet = await Fleet.start('RS256', contenders, { profileInto, ...point.fleet });
  const count = kind === 'cached' ? (point.count ?? CACHED_TOKENS) : warmUp + requests;
  const tokens = await (point.tokens ?? ((each, size) => each.mint.many(size)))(fleet, count);
  if (kind === 'cached') fleet.setting.tokens = tokens;
  const results = await validRounds(fleet, { tokens, rounds, warmUp, requests, connections });
  await fleet.end();
  return costsOf(results, YARDSTICKS[kind].name);
}
