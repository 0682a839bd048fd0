/** Opaque tokens: the cost of a cached one compared with a cached JWT, and with introspection of every request. */
import { OPAQUE_CONTENDERS } from '../contenders/index.js';
import { addedCpu, ratioToBare } from '../harness/compare.js';
import { Fleet, interleave, warm } from '../harness/fleet.js';
import { saturate } from '../harness/load.js';
import { figure, show, showSpread } from '../harness/stats.js';

export const title = '200 opaque tokens in turn, seen before (in process; and HTTP, 50 connections)';

const TOKENS = 200;
const FLEETS = 5;
const BARE = 'bare';
const JWT = 'express-resource-server';
const CACHED = 'opaque-cached';
const NAIVE = 'opaque-naive';

export async function run(plan) {
  const calls = await inProcess(plan);
  const http = await overHttp(plan);
  const bytes = (kind) => `${calls[kind].bytes} bytes`;
  const times = (value) => `${show(value)} ×`;
  const factor = (each) => `${times(each.median)} (${showSpread(each)})`;
  return {
    columns: [
      '',
      'µs per call',
      '(rounds)',
      'µs CPU added',
      '(rounds)',
      'throughput × bare',
      '(rounds)',
      'introspections',
    ],
    rows: [
      [`cached JWT, ${bytes('jwt')}`, ...callCells(calls.jwt), ...Array(5).fill('–')],
      [`cached, ${bytes('long')}`, ...callCells(calls.long), ...Array(5).fill('–')],
      [`cached, ${bytes('opaque')}`, ...callCells(calls.opaque), ...httpCells(http[CACHED])],
      [`naive, ${bytes('opaque')}`, '–', '–', ...httpCells(http[NAIVE])],
    ],
    notes: [
      'µs per call: in process, over an empty middleware with the same header strings; the rest over HTTP, and bare Express',
      `a cached opaque token costs ${times(calls.ratio)} a cached JWT; one as long as the JWT ${times(calls.ratioOfLong)}`,
      `a request by the naive middleware costs ${factor(http.cpuFactor)} the CPU of one with a cached token, Express and all, for ${factor(http.throughputFactor)} the throughput`,
      `introspections: introspection requests during ${http.served.toLocaleString('en-US')} requests, without warm-up`,
    ],
    figures: { calls, http },
  };
}

function startFleet(names, profileInto) {
  const contenders = OPAQUE_CONTENDERS.filter(({ name, role }) => role === 'bare' || names.includes(name));
  return Fleet.start('RS256', contenders, { profileInto });
}

/** Each kind compared with an empty middleware that receives the same tokens: the cost of a longer header is not counted. */
async function inProcess({ calls, callRounds, profileInto }) {
  const fleet = await startFleet([JWT, CACHED], profileInto);
  const jwts = await fleet.mint.many(TOKENS);
  const opaque = await fleet.opaqueMint.many(TOKENS);
  const long = await fleet.opaqueMint.many(TOKENS, jwts[0].length);
  const kinds = new Map([
    ['jwt', { by: JWT, tokens: jwts }],
    ['opaque', { by: CACHED, tokens: opaque }],
    ['long', { by: CACHED, tokens: long }],
  ]);
  const call = (name, tokens, count) => fleet.members.get(name).child.call('call', { tokens, count });
  const measure = async (kind, count) => {
    const { by, tokens } = kinds.get(kind);
    const empty = await call(BARE, tokens, count);
    return (await call(by, tokens, count)) - empty;
  };
  const names = [...kinds.keys()];
  await interleave(names, 3, (kind) => measure(kind, calls));
  const results = await interleave(names, callRounds, (kind) => measure(kind, calls));
  await fleet.end();

  const figures = Object.fromEntries(
    names.map((kind) => [kind, { bytes: kinds.get(kind).tokens[0].length, perCall: figure(results.get(kind)) }]),
  );
  const timesJwt = (kind) => figures[kind].perCall.median / figures.jwt.perCall.median;
  return { ...figures, ratio: timesJwt('opaque'), ratioOfLong: timesJwt('long') };
}

/**
 * With new processes several times: two processes with the same code can differ permanently by more than the cost of a
 * cached token.
 */
async function overHttp({ rounds, requests, warmUp, profileInto }) {
  const results = new Map([BARE, CACHED, NAIVE].map((name) => [name, []]));
  for (let i = 0; i < FLEETS; i++) {
    const fleet = await startFleet([CACHED, NAIVE], profileInto);
    const some = await roundsOf(fleet, { rounds: Math.ceil(rounds / FLEETS), requests, warmUp });
    await fleet.end();
    for (const [name, each] of some) results.get(name).push(...each);
  }
  const of = (name) => ({
    addedCpu: addedCpu(results, name),
    throughput: ratioToBare(results, name, ({ perSecond }) => perSecond),
    introspections: sum(results.get(name), 'introspections'),
  });
  const naiveTimes = (read) =>
    figure(results.get(NAIVE).map((each, round) => read(each) / read(results.get(CACHED)[round])));
  return {
    [CACHED]: of(CACHED),
    [NAIVE]: of(NAIVE),
    served: sum(results.get(CACHED), 'served'),
    cpuFactor: naiveTimes(({ cpu }) => cpu),
    throughputFactor: naiveTimes(({ perSecond }) => perSecond),
  };
}

async function roundsOf(fleet, { rounds, requests, warmUp }) {
  const tokens = await fleet.opaqueMint.many(TOKENS);
  const load = (count) => (port) =>
    saturate({ port, count, next: (i) => ({ token: tokens[i % TOKENS], isValid: true }) });
  await warm(fleet.names, warmUp, (name, count) => fleet.measure(name, load(count)));
  return interleave(fleet.names, rounds, async (name) => {
    const before = await fleet.introspections();
    const result = await fleet.measure(name, load(requests));
    if (result.surprises > 0) throw new Error(`${name} rejected ${result.surprises} valid tokens`);
    return { ...result, introspections: (await fleet.introspections()) - before };
  });
}

const sum = (results, name) => results.reduce((total, result) => total + result[name], 0);

const callCells = ({ perCall }) => [show(perCall.median), showSpread(perCall)];

const httpCells = ({ addedCpu: cpu, throughput, introspections }) => [
  ...[cpu, throughput].flatMap((each) => [show(each.median), showSpread(each)]),
  introspections.toLocaleString('en-US'),
];
