import { generateKeyPairSync, sign } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ROOT } from '../support/type-check.js';

interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

interface Costs {
  readonly addedCpu: Figure;
  readonly throughput: Figure;
  readonly timesYardstick: number;
}

interface Load {
  readonly server: { readonly port: number; readonly cpu: () => Promise<number> };
  readonly count: number;
  readonly next: (i: number) => { readonly token: string; readonly isValid: boolean };
}

interface Loaded {
  readonly served: number;
  readonly surprises: number;
  readonly latencies: readonly number[];
  readonly cpu: number;
}

interface FakeFleet {
  readonly names: readonly string[];
  readonly restart: () => Promise<unknown>;
}

interface Steps {
  readonly rounds: number;
  readonly warmUp: (name: string, turn: number) => Promise<unknown>;
  readonly measure: (name: string, turn: number) => Promise<unknown>;
}

/** The benchmark is JavaScript without declarations. */
const load = async (file: string): Promise<unknown> => import(join(ROOT, 'bench', file)) as Promise<unknown>;

const { costsOf } = (await load('harness/compare.js')) as {
  costsOf: (results: ReadonlyMap<string, readonly object[]>, yardstick: string) => Record<string, Costs>;
};
const { freshRounds } = (await load('harness/fleet.js')) as {
  freshRounds: (fleet: FakeFleet, steps: Steps) => Promise<Map<string, unknown[]>>;
};
const { pace, saturate } = (await load('harness/load.js')) as {
  pace: (load: Load & { readonly rate: number }) => Promise<Loaded>;
  saturate: (load: Load & { readonly connections?: number }) => Promise<Loaded>;
};
const { signatureCheck } = (await load('harness/signature.js')) as {
  signatureCheck: (alg: string, jwk: object) => (jwt: string) => boolean;
};
const { toJson } = (await load('harness/stats.js')) as { toJson: (value: unknown) => string };

describe('the costs of contenders', () => {
  const rounds = (...values: readonly [cpu: number, perSecond: number][]): object[] =>
    values.map(([cpu, perSecond]) => ({ cpu, perSecond }));
  const results = new Map([
    ['bare', rounds([100, 1000], [200, 500], [100, 1000])],
    ['yardstick', rounds([105, 1000], [204, 500], [106, 1000])],
    ['contender', rounds([110, 900], [209, 450], [120, 800])],
  ]);

  it('are those of each round beyond bare Express of the same round', () => {
    const { contender } = costsOf(results, 'yardstick');
    expect(contender?.addedCpu).toMatchObject({ median: 10, min: 9, max: 20 });
    expect(contender?.throughput).toMatchObject({ median: 0.9, min: 0.8, max: 0.9 });
    expect(contender?.timesYardstick).toBe(2);
  });

  it('are no multiple of a yardstick that costs less than bare Express', () => {
    expect(costsOf(results, 'bare').contender?.timesYardstick).toBeNaN();
  });
});

it('starts new processes in each round, and warms them up and measures them in turns', async () => {
  const events: string[] = [];
  const note = (event: string): Promise<string> => Promise.resolve(events.push(event)).then(() => event);
  const results = await freshRounds(
    { names: ['a', 'b'], restart: () => note('restart') },
    { rounds: 2, warmUp: (name) => note(`warm ${name}`), measure: (name, turn) => note(`${name}${turn}`) },
  );
  const turns = [0, 1, 2, 3, 4];
  const round = (...names: readonly string[]): readonly string[] => [
    'restart',
    ...turns.flatMap(() => names.map((name) => `warm ${name}`)),
    ...turns.flatMap((turn) => names.map((name) => `${name}${turn}`)),
  ];
  expect(events).toEqual([...round('a', 'b'), ...round('b', 'a')]);
  const resultsOf = (name: string): readonly string[] => turns.map((turn) => `${name}${turn}`);
  expect(Object.fromEntries(results)).toEqual({
    a: [resultsOf('a'), resultsOf('a')],
    b: [resultsOf('b'), resultsOf('b')],
  });
});

describe('the load generator', () => {
  const closers: (() => void)[] = [];
  afterEach(() => {
    for (const close of closers.splice(0)) close();
  });

  async function serve(listener: RequestListener): Promise<Load['server'] & { readonly connections: () => number }> {
    let connections = 0;
    const server = createServer((req, res) => {
      if (req.url === '/ready') res.end('{}');
      else listener(req, res);
    }).on('connection', () => connections++);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => {
      server.closeAllConnections();
      server.close();
    });
    // The CPU time grows by 1,000 µs for each connection, and by 1,000 µs from one call to the next.
    let calls = 0;
    const cpu = (): Promise<number> => Promise.resolve(1000 * (connections + calls++));
    return { port: (server.address() as AddressInfo).port, cpu, connections: () => connections };
  }

  const respondByToken: RequestListener = (req, res) => {
    res.statusCode = req.headers.authorization === 'Bearer good' ? 200 : 401;
    res.end('{}');
  };

  it('counts responses that are not the expected ones', async () => {
    const server = await serve(respondByToken);
    const isExpected = (i: number): boolean => i % 10 !== 0;
    const next = (i: number): ReturnType<Load['next']> => ({ token: 'good', isValid: isExpected(i) });
    const { served, surprises, latencies } = await saturate({ server, count: 100, next });
    expect([served, surprises, latencies.length]).toEqual([100, 10, 90]);
  });

  it('uses as many connections as it should, and does not count the CPU time of their start', async () => {
    const server = await serve(respondByToken);
    const next = (): ReturnType<Load['next']> => ({ token: 'good', isValid: true });
    const { cpu, surprises } = await saturate({ server, count: 100, next, connections: 7 });
    expect([server.connections(), cpu, surprises]).toEqual([7, 10, 0]);
  });

  it('counts latency from the time when a request was due', async () => {
    const waiting: (() => void)[] = [];
    // The server responds to nothing until 60 requests are there; 50 connections cannot send that many.
    const server = await serve((_req, res) => {
      waiting.push(() => res.end('{}'));
      if (waiting.length === 50) for (const respond of waiting) respond();
      else if (waiting.length > 50) res.end('{}');
    });
    const next = (): ReturnType<Load['next']> => ({ token: 'good', isValid: true });
    const { served, latencies } = await pace({ server, count: 60, rate: 1000, next });
    expect(served).toBe(60);
    // The first request was due when the load started, and received its response when the fiftieth was sent.
    expect(latencies[0]).toBeGreaterThanOrEqual(45);
  });
});

describe('the yardstick of signatures', () => {
  it.each([
    ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 }), 20],
    // So many that some numbers have leading zeros, and some would be negative without a padding.
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }), 2000],
    ['EdDSA', generateKeyPairSync('ed25519'), 20],
  ])('accepts valid %s signatures and rejects others', (alg, { publicKey, privateKey }, count) => {
    const isSigned = signatureCheck(alg, publicKey.export({ format: 'jwk' }));
    for (let i = 0; i < count; i++) {
      const hash = alg === 'EdDSA' ? null : 'sha256';
      const signature = sign(hash, Buffer.from(`head.${i}`), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      expect(isSigned(`head.${i}.${signature.toString('base64url')}`)).toBe(true);
      if (i < 20) expect(isSigned(`head.other.${signature.toString('base64url')}`)).toBe(false);
    }
  });
});

it('writes each list of numbers in one line, with five digits', () => {
  expect(toJson({ rounds: [1.234567, 123_456.7, -1], names: ['a'] })).toBe(
    '{\n "rounds": [1.2346,123460,-1],\n "names": [\n  "a"\n ]\n}\n',
  );
});
