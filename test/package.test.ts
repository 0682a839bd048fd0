import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import ts from 'typescript';
import { TestIssuer } from '../lib/testing/issuer.js';
import { ROOT } from './support/type-check.js';

const run = promisify(execFile);
const MINUTE = 60_000;
const NAME = 'express-resource-server';

let project = '';
let packed: readonly string[] = [];
let tarballPath = '';
let unpackedSize = 0;

/** A project with the packed package and its dependencies, and nothing else of this checkout. */
beforeAll(async () => {
  const shell = process.platform === 'win32';
  if (!existsSync(join(ROOT, 'dist/index.d.cts'))) await run('npm', ['run', 'build'], { cwd: ROOT, shell });
  project = await mkdtemp(join(await realpath(tmpdir()), `${NAME}-`));
  const npm = ['pack', '--ignore-scripts', '--json', '--pack-destination', project];
  const { stdout } = await run('npm', npm, { cwd: ROOT, shell });
  const [tarball] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[]; unpackedSize: number }];
  tarballPath = join(project, tarball.filename);
  ({ unpackedSize } = tarball);
  packed = tarball.files.map(({ path }) => path);
  const installed = join(project, 'node_modules', NAME);
  await mkdir(installed, { recursive: true });
  // Relative paths, because tar interprets the text before a colon as a host name.
  await run('tar', ['-xzf', tarball.filename, '-C', `node_modules/${NAME}`, '--strip-components=1'], { cwd: project });
  for (const name of ['express', '@types/express', '@types/node']) {
    const target = join(project, 'node_modules', name);
    await mkdir(dirname(target), { recursive: true });
    await symlink(join(ROOT, 'node_modules', name), target, 'junction');
  }
}, 3 * MINUTE);

afterAll(() => rm(project, { recursive: true, force: true }));

/** Runs a program in that project and parses its output as JSON. */
async function runHere(file: string, text: string, ...args: string[]): Promise<unknown> {
  await writeFile(join(project, file), text);
  const { stdout } = await run(process.execPath, [file, ...args], { cwd: project });
  return JSON.parse(stdout);
}

const REQUESTS = `
  const [issuer, jwks, token] = process.argv.slice(2);
  const app = express();
  app.use(jwtBearer({ issuer, audience: 'https://api.example.com', jwks: JSON.parse(jwks) }));
  app.get('/', requireScopes('orders:read'), (req, res) => res.json({ client: getAuth(req).clientId }));
  app.get('/admin', requireScopes('admin'), (req, res) => res.json({}));
  const server = app.listen(0, '127.0.0.1', async () => {
    const origin = 'http://127.0.0.1:' + server.address().port;
    const headers = { authorization: 'Bearer ' + token };
    const responses = await Promise.all([
      fetch(origin, { headers }),
      fetch(origin + '/admin', { headers }),
      fetch(origin, { headers: { authorization: 'Bearer ' + token.slice(0, -4) + 'AAAA' } }),
      fetch(origin),
    ]);
    console.log(JSON.stringify(await Promise.all(responses.map(async (response) => [response.status, await response.json()]))));
    server.closeAllConnections();
    server.close();
  });
`;

const WAYS = [
  [
    'require',
    'app.cjs',
    `const express = require('express');
     const { getAuth, jwtBearer, requireScopes } = require('${NAME}');`,
  ],
  [
    'import',
    'app.mjs',
    `import express from 'express';
     import { getAuth, jwtBearer, requireScopes } from '${NAME}';`,
  ],
] as const;

describe('the packed package', () => {
  it('contains the build, the licences and the documentation files, and nothing else', () => {
    const docs = readdirSync(join(ROOT, 'docs'))
      .filter((file) => file !== 'performance.md')
      .map((file) => `docs/${file}`);
    const papers = ['LICENSE', 'README.md', 'SECURITY.md', ...docs, 'package.json'].sort();
    expect(packed.filter((path) => !path.startsWith('dist/')).sort()).toEqual(papers);
    const built = packed.filter((path) => path.startsWith('dist/'));
    const licences = 'dist/THIRD-PARTY-LICENSES.txt';
    expect(built.filter((path) => !/\.(?:d\.ts|d\.cts|js|cjs)$/.test(path))).toEqual([licences]);
    for (const entry of ['index', 'augment', 'testing']) {
      const files = ['.js', '.cjs', '.d.ts', '.d.cts'].map((extension) => `dist/${entry}${extension}`);
      expect(built).toEqual(expect.arrayContaining(files));
    }
  });

  it('adds at most 1 MiB to a project that has Express: it has no dependencies', () => {
    expect(unpackedSize).toBeLessThanOrEqual(1024 * 1024);
    const installed = JSON.parse(readFileSync(join(project, 'node_modules', NAME, 'package.json'), 'utf8')) as object;
    expect(installed).not.toHaveProperty('dependencies');
  });

  it('contains the licences and the versions of the packages whose code it contains', async () => {
    const folder = join(ROOT, 'node_modules/jose');
    const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string };
    const licences = await readFile(join(project, 'node_modules', NAME, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8');
    expect([...licences.matchAll(/^(\S+) \d+\.\d+\.\d+$/gm)].map(([, name]) => name)).toEqual([
      'clone',
      'jose',
      'node-cache',
    ]);
    expect(licences).toContain(`jose ${version}\n`);
    expect(licences).toContain((await readFile(join(folder, 'LICENSE.md'), 'utf8')).trim());
  });

  it.each(WAYS)(
    'protects an API that loads it with %s',
    async (_, file, head) => {
      const issuer = await TestIssuer.start();
      await issuer.close();
      const token = await issuer.issue({ scope: 'orders:read' });
      const responses = await runHere(
        file,
        head + REQUESTS,
        issuer.url,
        JSON.stringify({ keys: issuer.published }),
        token,
      );
      expect(responses).toEqual([
        [200, { client: 'client-1' }],
        [403, expect.objectContaining({ error: 'insufficient_scope' })],
        [401, expect.objectContaining({ error: 'invalid_token' })],
        [401, { error_description: 'No access token was presented.' }],
      ]);
    },
    MINUTE,
  );

  it.each(WAYS)(
    'protects an API without the newer globals of Node, as in jsdom, that loads it with %s',
    async (_, file, head) => {
      const issuer = await TestIssuer.start();
      await issuer.close();
      const token = await issuer.issue({ scope: 'orders:read' });
      const remove = ['crypto', 'TextEncoder', 'TextDecoder', 'atob', 'btoa', 'structuredClone', 'setImmediate']
        .map((name) => `delete globalThis.${name};`)
        .join('');
      // Node's own fetch, with which the program makes its requests, needs them when it is loaded.
      await writeFile(join(project, 'remove.cjs'), `new Response(''); ${remove} delete URL.canParse;`);
      const start = file.endsWith('.cjs') ? `require('./remove.cjs');` : `import './remove.cjs';`;
      const args = [issuer.url, JSON.stringify({ keys: issuer.published }), token];
      const responses = (await runHere(`bare-${file}`, start + head + REQUESTS, ...args)) as [number][];
      expect(responses.map(([status]) => status)).toEqual([200, 403, 401, 401]);
    },
    MINUTE,
  );

  it('exports the same names with require and import, and its errors are instances of both', async () => {
    const text = `
      const required = require('${NAME}');
      import('${NAME}').then((imported) => {
        const names = Object.keys(imported).sort();
        const errors = [
          new required.InvalidTokenError('expired') instanceof imported.InvalidTokenError,
          new imported.HttpError('timeout', '') instanceof required.HttpError,
          new imported.InvalidTokenError('expired') instanceof required.UpstreamError,
          new Error() instanceof required.HttpError,
        ];
        console.log(JSON.stringify([names.join() === Object.keys(required).sort().join(), errors]));
      });
    `;
    expect(await runHere('same.cjs', text)).toEqual([true, [true, true, false, false]]);
  });

  it('contains shared code of two entry points once', async () => {
    const dist = join(ROOT, 'dist');
    for (const extension of ['.js', '.cjs']) {
      const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith(extension));
      const texts = await Promise.all(files.map((file) => readFile(join(dist, file), 'utf8')));
      const classes = texts.flatMap((text) =>
        [...text.matchAll(/^(?:let \w+=)?class (\w+)/gm)].map(([, name]) => name),
      );
      expect(classes.filter((name, i) => classes.indexOf(name) !== i)).toEqual([]);
      expect(classes).toContain('ResourceServerError');
    }
  });

  it('contains the command', async () => {
    const command = join(project, 'node_modules', NAME, 'dist/cli.js');
    const { stdout } = await run(process.execPath, [command, '--help']);
    expect(stdout).toContain('express-resource-server issuer');
    const rejected = run(process.execPath, [command, 'issuer', '--host', '0.0.0.0']);
    await expect(rejected).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('loopback only') as unknown,
    });
  });

  it.each(['dist/index.js', 'dist/verify/jwt.js', 'lib/index.js', 'dist'])('does not export %s', async (path) => {
    const text = `
      const specifier = '${NAME}/${path}';
      const codes = [];
      try { require(specifier); } catch (error) { codes.push(error.code); }
      import(specifier).catch((error) => { codes.push(error.code); }).then(() => console.log(JSON.stringify(codes)));
    `;
    const rejected = 'ERR_PACKAGE_PATH_NOT_EXPORTED';
    expect(await runHere('deep.cjs', text)).toEqual([rejected, rejected]);
  });

  it('exports its package.json and its types-only entry point', async () => {
    const text = `
      require('${NAME}/augment');
      console.log(JSON.stringify(require('${NAME}/package.json').name));
    `;
    expect(await runHere('entry-points.cjs', text)).toBe(NAME);
  });

  // TypeScript before 5.4 cannot name a type that is exported by a list, so a project that exports a middleware and has
  // `declaration: true` did not compile.
  it('exports each declaration where it is declared', () => {
    for (const path of packed.filter((each) => each.endsWith('.d.cts'))) {
      const text = readFileSync(join(project, 'node_modules', NAME, path), 'utf8');
      const { statements } = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022);
      const declared = statements.filter(
        (each) => ts.isInterfaceDeclaration(each) || ts.isTypeAliasDeclaration(each) || ts.isClassDeclaration(each),
      );
      const names = declared.map(({ name }) => name?.text);
      const listed = statements.flatMap((each) =>
        ts.isExportDeclaration(each) && each.exportClause !== undefined && ts.isNamedExports(each.exportClause)
          ? each.exportClause.elements.map(({ name, propertyName }) => (propertyName ?? name).text)
          : [],
      );
      expect({ path, listed: listed.filter((name) => names.includes(name)) }).toEqual({ path, listed: [] });
    }
  });

  it.each(['consumer.mts', 'consumer.cts'])(
    'has types that compile without skipLibCheck, for %s',
    async (file) => {
      const text = `
        import type { Request } from 'express';
        import { jwtBearer, getAuth, introspectionBearer, redisStore } from '${NAME}';
        import type { Auth, RedisClient, ResourceServerError } from '${NAME}';
        import '${NAME}/augment';
        export const middleware = jwtBearer({ issuer: 'https://auth.example.com', audience: false });
        export const read = (req: Request): (Auth | undefined)[] => [getAuth(req), req.auth];
        export const sibling = (client: RedisClient, clientSecret: string) =>
          introspectionBearer({
            issuer: 'https://auth.example.com',
            clientId: 'api',
            clientSecret,
            audience: false,
            store: redisStore(client),
          });
        export const cause = (error: ResourceServerError): unknown => error.cause;
        // @ts-expect-error: the audience is required
        export const wrong = jwtBearer({ issuer: 'https://auth.example.com' });
      `;
      await writeFile(join(project, file), text);
      const program = ts.createProgram([join(project, file)], {
        // Its library is the oldest that @types/node accepts.
        target: ts.ScriptTarget.ES2020,
        module: ts.ModuleKind.NodeNext,
        strict: true,
        exactOptionalPropertyTypes: true,
        noEmit: true,
        types: ['node'],
        typeRoots: [join(project, 'node_modules/@types')],
      });
      const own = program
        .getSourceFiles()
        .filter(({ fileName }) => fileName.startsWith(join(project, 'node_modules', NAME)));
      const checked = [program.getSourceFile(join(project, file)), ...own];
      const errors = checked.flatMap((source) => ts.getPreEmitDiagnostics(program, source));
      expect(errors.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))).toEqual([]);
      expect(own.length).toBeGreaterThan(0);
    },
    MINUTE,
  );
});

/**
 * The commands of the README, in a folder that is empty before. Only what a machine decides is replaced: the ports, and the
 * packed package instead of the published one.
 */
/** Only as a port: the random secret may contain these digits too. */
const APP_PORT = /(?<=localhost:|listen\()3000\b/g;

describe('the quick start of the README', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const fenced = (language: string): string[] =>
    [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(([, text = '']) => text);
  const commands = fenced('sh').slice(0, 2).join('').trim().split('\n');
  const [install = '', startIssuer = '', startApp = '', call = ''] = commands;
  const [program = ''] = fenced('ts');
  const [requires = ''] = fenced('js');
  const programs = [
    ['app.mjs', program],
    ['app.cjs', requires + program.replaceAll(/^import .*;\n/gm, '')],
  ] as const;
  const children: ChildProcess[] = [];
  let folder = '';
  let issuerOutput = '';

  const start = (command: string): ChildProcess => {
    // A process group of its own, so that the processes that it starts end with it.
    const child = spawn('sh', ['-c', command], { cwd: folder, detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    return child;
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(await realpath(tmpdir()), 'quick-start-'));
    const cached = install.replace(NAME, `${tarballPath} --prefer-offline --no-audit --no-fund --loglevel=error`);
    await run('sh', ['-c', cached], { cwd: folder });
    const issuer = start(`${startIssuer} --port 0`);
    for await (const chunk of issuer.stdout ?? []) {
      issuerOutput += String(chunk);
      if (issuerOutput.includes('Ctrl+C')) break;
    }
  }, 3 * MINUTE);

  afterAll(async () => {
    for (const { pid } of children) if (pid !== undefined) process.kill(-pid);
    await rm(folder, { recursive: true, force: true });
  });

  it('takes four commands', () => {
    expect(commands).toHaveLength(4);
  });

  it.each(programs)(
    'leads to a 200 and to a 401, with %s',
    async (file, text) => {
      const port = await freePort();
      const [url = ''] = /http:\/\/127\.0\.0\.1:\d+/.exec(issuerOutput) ?? [];
      const withPorts = (from: string): string =>
        from.replaceAll('http://127.0.0.1:4444', url).replaceAll(APP_PORT, `${port}`);
      await writeFile(join(folder, file), withPorts(text));
      await connected(port, start(startApp.replace('app.mjs', file)));

      const printed =
        issuerOutput
          .split('\n')
          .find((line) => line.includes('curl -i'))
          ?.trim() ?? '';
      const secret = /client-1:(\w+)/.exec(printed)?.[1] ?? '';
      expect(printed.replaceAll(APP_PORT, `${port}`)).toBe(withPorts(call).replace('SECRET', secret));
      const [ok = '', unauthorized = ''] = fenced('http');
      expect(await responseTo(withPorts(printed))).toEqual(linesOf(ok));
      expect(await responseTo(`curl -i http://localhost:${port}/api/orders`)).toEqual(linesOf(unauthorized));
    },
    MINUTE,
  );

  /** The lines that the README shows: it leaves out the headers of Node and Express. */
  async function responseTo(command: string): Promise<string[]> {
    const { stdout } = await run('sh', ['-c', command], { cwd: folder });
    const omitted = /^(?:X-Powered-By|Content-Length|ETag|Date|Connection|Keep-Alive|Transfer-Encoding):/i;
    return linesOf(stdout).filter((line) => !omitted.test(line));
  }

  function linesOf(text: string): string[] {
    return text.trim().split(/\r?\n/).sort();
  }

  async function freePort(): Promise<number> {
    const server = createServer().listen(0);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    return port;
  }

  async function connected(port: number, program: ChildProcess): Promise<void> {
    while (program.exitCode === null) {
      const socket = connect(port, 'localhost');
      try {
        await once(socket, 'connect');
        return;
      } catch (error) {
        // The program has not started yet.
        if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error;
      } finally {
        socket.destroy();
      }
    }
    throw new Error(`the program ended with ${program.exitCode}`);
  }
});
