import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import ts from 'typescript';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import { startIssuer } from '../support/helpers.js';
import { optionsFor } from '../support/introspection.js';
import { describeWithRedis } from '../support/redis-server.js';
import { ROOT } from '../support/type-check.js';

const MINUTE = 60_000;

/** Verifies each token that it receives many times concurrently, and sends the results back. */
const PROGRAM = `
  import { createClient } from 'redis';
  import { introspectionVerifier, redisStore } from './lib/index.js';
  const [url, options] = process.argv.slice(2);
  const client = createClient({ url });
  client.on('error', () => undefined);
  await client.connect();
  const verifier = introspectionVerifier({ ...JSON.parse(options), store: redisStore(client, { timeout: 5 }) });
  await verifier.ready();
  process.on('message', async (tokens) => {
    const results = await Promise.all(
      Array.from({ length: 20 }, () => tokens).flat().map(async (token) => {
        try {
          return (await verifier.verify(token)).clientId;
        } catch (error) {
          return error.reason ?? String(error);
        }
      }),
    );
    process.send(results);
  });
  process.send('ready');
`;

let folder = '';
const children: ChildProcess[] = [];

/** The library as plain JavaScript, because the processes run in Node.js and not in the test runner. */
beforeAll(async () => {
  folder = await mkdtemp(join(await realpath(tmpdir()), 'express-resource-server-'));
  const lib = join(ROOT, 'lib');
  const files = await readdir(lib, { recursive: true });
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
  for (const file of files.filter((each) => each.endsWith('.ts'))) {
    const { outputText } = ts.transpileModule(await readFile(join(lib, file), 'utf8'), { compilerOptions });
    const target = join(folder, 'lib', file.replace(/\.ts$/, '.js'));
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, outputText);
  }
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  await writeFile(join(folder, 'program.js'), PROGRAM);
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction');
}, MINUTE);

afterAll(async () => {
  for (const child of children) child.kill();
  await rm(folder, { recursive: true, force: true });
});

describeWithRedis('real processes that share Redis', (redis) => {
  async function startProcess(issuer: TestIssuer): Promise<ChildProcess> {
    const options = optionsFor(issuer, { timeout: 30, cache: { maxAge: 600, negativeMaxAge: 600 } });
    // The processes do not get the settings of the test runner.
    const child = fork(join(folder, 'program.js'), [redis.server.url, JSON.stringify(options)], { execArgv: [] });
    children.push(child);
    await once(child, 'message');
    return child;
  }

  async function verify(child: ChildProcess, tokens: readonly string[]): Promise<unknown[]> {
    const answered = once(child, 'message');
    child.send([...tokens]);
    const [results] = (await answered) as [unknown[]];
    return results;
  }

  it(
    'introspect each token once in total, and a process that starts later introspects nothing',
    async () => {
      const issuer = await startIssuer();
      const good = Array.from({ length: 30 }, () => issuer.issueOpaque());
      const tokens = [...good, ...Array.from({ length: 10 }, (_, i) => `garbage-${i}`)];
      const [one, two] = await Promise.all([startProcess(issuer), startProcess(issuer)]);
      const results = await Promise.all([verify(one, tokens), verify(two, [...tokens].reverse())]);
      const count = (what: string): number => results.flat().filter((result) => result === what).length;
      expect([count('client-1'), count('inactive')]).toEqual([2 * 20 * 30, 2 * 20 * 10]);
      expect(tokens.filter((token) => issuer.introspection.timesAsked(token) !== 1)).toEqual([]);

      const later = await startProcess(issuer);
      expect((await verify(later, tokens)).filter((result) => result === 'client-1')).toHaveLength(20 * 30);
      expect(issuer.requests.introspection).toBe(40);
    },
    MINUTE,
  );
});
