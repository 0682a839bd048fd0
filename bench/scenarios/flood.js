/**
 * A flood of invalid tokens, while 5 % of the requests are valid, with tokens seen before. Cost is measured at the
 * speed of the server; latency at a steady rate that bare Express can serve easily.
 */
import { CPU_COLUMNS, cpuCells, cpuFigures, ratioToBare } from '../harness/compare.js';
import { Fleet, interleave, warm } from '../harness/fleet.js';
import { pace, saturate } from '../harness/load.js';
import { figure, percentile, show, showSpread } from '../harness/stats.js';

const VALID_ONE_IN = 20;
/** The share of what bare Express can serve. */
const LATENCY_LOAD = 0.25;

/**
 * @param {object} plan
 * @param {(mint: import('../harness/tokens.js').Mint, count: number) => Promise<string[]>} makeBad
 */
export async function flood(plan, makeBad) {
  const { contenders, rounds, requests, warmUp, latencyRounds, latencySeconds, profileInto } = plan;
  const fleet = await Fleet.start('RS256', contenders, { profileInto });
  const good = await fleet.mint.many(20);
  const bad = await makeBad(fleet.mint, (warmUp + rounds * requests) * 2);
  // Each contender receives each invalid token once.
  const sent = new Map(fleet.names.map((name) => [name, 0]));
  const mixFor = (name) => (i) => {
    if (i % VALID_ONE_IN === 0) return { token: good[(i / VALID_ONE_IN) % good.length], isValid: true };
    const position = sent.get(name);
    sent.set(name, position + 1);
    return { token: bad[position % bad.length], isValid: false };
  };
  const fast = (name, count) => fleet.measure(name, (port) => saturate({ port, count, next: mixFor(name) }));
  const warmed = await warm(fleet.names, warmUp, fast);
  const bareRate = warmed.get('bare').at(-1).perSecond;
  const rate = Math.round(bareRate * LATENCY_LOAD);
  const count = Math.round(rate * latencySeconds);

  const jwksRequests = new Map(fleet.names.map((name) => [name, 0]));
  const counting = async (name, measure) => {
    const before = await fleet.jwksRequests();
    const result = await measure();
    jwksRequests.set(name, jwksRequests.get(name) + (await fleet.jwksRequests()) - before);
    return result;
  };
  const cpu = await interleave(fleet.names, rounds, (name) => counting(name, () => fast(name, requests)));
  const paced = await interleave(fleet.names, latencyRounds, (name) =>
    counting(name, () => fleet.measure(name, (port) => pace({ port, rate, count, next: mixFor(name) }))),
  );
  await fleet.end();
  return report(fleet.names, { cpu, paced, jwksRequests, sent, rate, warmUp });
}

const p99 = ({ latencies }) => percentile(latencies, 0.99);

function report(names, { cpu, paced, jwksRequests, sent, rate, warmUp }) {
  const figuresOf = (name) => {
    const surprises = [...cpu.get(name), ...paced.get(name)].reduce((sum, each) => sum + each.surprises, 0);
    return {
      ...cpuFigures(cpu, name),
      p99Ms: figure(paced.get(name).map(p99)),
      p99Ratio: ratioToBare(paced, name, p99),
      jwksRequests: jwksRequests.get(name),
      badTokens: sent.get(name) - Math.round(warmUp * (1 - 1 / VALID_ONE_IN)),
      surprises: name === 'bare' ? 0 : surprises,
    };
  };
  const figures = Object.fromEntries(names.map((name) => [name, figuresOf(name)]));
  return {
    columns: ['contender', ...CPU_COLUMNS, 'p99 ms', 'p99 × bare', '(rounds)', 'JWKS requests', 'surprises'],
    rows: names.map((name) => {
      const { p99Ms, p99Ratio, jwksRequests, surprises } = figures[name];
      const isBare = name === 'bare';
      const ratio = isBare ? ['–', '–'] : [show(p99Ratio.median), showSpread(p99Ratio)];
      return [
        name,
        ...cpuCells(cpu, name),
        show(p99Ms.median),
        ...ratio,
        `${jwksRequests}`,
        isBare ? '–' : `${surprises}`,
      ];
    }),
    notes: [
      `p99 of the valid requests at ${rate} requests/s, of which ${100 / VALID_ONE_IN} % are valid`,
      `JWKS requests during about ${figures[names.at(-1)].badTokens} invalid tokens per contender, without warm-up`,
      'surprises: valid requests rejected, invalid ones accepted or connections lost',
    ],
    figures,
  };
}
