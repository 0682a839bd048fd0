/** Tokens seen before, as services send them again and again: what is left to pay per request? */
import { BARE, MAP_LOOKUP, OURS } from '../contenders/index.js';
import { busiestClient, COST_COLUMNS, costCells, costsOf } from '../harness/compare.js';
import { Fleet, validRounds } from '../harness/fleet.js';
import { show } from '../harness/stats.js';

const TOKENS = 50;

export const title = `${TOKENS} tokens in turn, seen before (HTTP, 50 connections)`;

export async function run({ peers, profileInto, ...plan }) {
  const fleet = await Fleet.start('RS256', [BARE, MAP_LOOKUP, OURS, ...peers], { profileInto });
  const tokens = await fleet.mint.many(TOKENS);
  fleet.setting.tokens = tokens;
  const results = await validRounds(fleet, { tokens, ...plan });
  await fleet.end();

  const figures = costsOf(results, MAP_LOOKUP.name);
  return {
    columns: ['contender', ...COST_COLUMNS],
    rows: Object.keys(figures).map((name) => [name, ...costCells(figures, name)]),
    notes: [`load generator at most ${show(busiestClient(results) * 100)} % busy`],
    figures,
  };
}
