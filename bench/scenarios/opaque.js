/** Opaque tokens seen before, in the same form as JWTs; and what introspection of every request costs instead. */
import { BARE, MAP_LOOKUP, OPAQUE_CACHED, OPAQUE_NAIVE } from '../contenders/index.js';
import { COST_COLUMNS, costCells, costsOf } from '../harness/compare.js';
import { Fleet, validRounds } from '../harness/fleet.js';

const TOKENS = 50;

export const title = `${TOKENS} opaque tokens in turn, seen before (HTTP, 50 connections)`;

export async function run({ profileInto, ...plan }) {
  const contenders = [BARE, MAP_LOOKUP, OPAQUE_CACHED, OPAQUE_NAIVE];
  const fleet = await Fleet.start('RS256', contenders, { profileInto });
  const tokens = await fleet.opaqueMint.many(TOKENS);
  fleet.setting.tokens = tokens;
  const results = await validRounds(fleet, { tokens, ...plan });
  await fleet.end();

  const costs = costsOf(results, MAP_LOOKUP.name);
  const introspections = (name) => results.get(name).reduce((sum, round) => sum + round.introspections, 0);
  const figures = Object.fromEntries(
    Object.entries(costs).map(([name, cost]) => [name, { ...cost, introspections: introspections(name) }]),
  );
  return {
    columns: ['contender', ...COST_COLUMNS, 'introspections'],
    rows: Object.keys(figures).map((name) => [
      name,
      ...costCells(figures, name),
      figures[name].introspections.toLocaleString('en-US'),
    ]),
    notes: [
      `introspections: during ${(plan.rounds * plan.requests).toLocaleString('en-US')} requests, without warm-up`,
    ],
    figures,
  };
}
