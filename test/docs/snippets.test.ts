import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { STATUS_CODES } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileFunction } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express, { type Express } from 'express';
import supertest from 'supertest';
import ts from 'typescript';
import * as library from '../../lib/index.js';
import * as mcp from '../../lib/mcp/index.js';
import { SENTENCES } from '../../lib/reasons.js';
import { startIssuer } from '../support/helpers.js';
import { check, ROOT } from '../support/type-check.js';

const MINUTE = 60_000;
const README = 'README.md';
const ERRORS = 'docs/errors.md';
const GATES = 'docs/gates.md';
const GETTING_STARTED = 'docs/getting-started.md';
const OPAQUE_TOKENS = 'docs/opaque-tokens.md';
const OPTIONS_PAGE = 'docs/options.md';
const STORES = 'docs/stores.md';
const pages = [
  README,
  'CHANGELOG.md',
  'SECURITY.md',
  ...readdirSync(join(ROOT, 'docs')).map((file) => `docs/${file}`),
].filter((file) => file.endsWith('.md'));
const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8');
const readme = read(README);

/** The contents of the fences of one language. A fence in a list is indented; the indentation is removed. */
function fenced(page: string, language: string): string[] {
  const fences = page.matchAll(new RegExp(`^( *)\`\`\`${language}\\n(.*?)^\\1\`\`\``, 'gms'));
  return [...fences].map(([, indent = '', text = '']) => text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''));
}

/** The cells of all tables below a heading, down to the next one. */
function rowsBelow(page: string, heading: string): string[][] {
  const start = page.indexOf(`\n${heading}\n`);
  if (start < 0) throw new Error(`there is no "${heading}"`);
  return rowsOf(page.slice(start + heading.length + 2).split(/^#{1,6} /m)[0] ?? '');
}

/** The cells of the first table that has a row whose first cell starts with this code. */
function tableWith(page: string, code: string): string[][] {
  const tables = page.split(/\n(?!\|)/).map((block) => rowsOf(block.slice(block.indexOf('|'))));
  const table = tables.find((rows) => rows.some(([name]) => named(name)[0]?.startsWith(code) === true));
  if (table === undefined) throw new Error(`there is no table with a row "${code}"`);
  return table;
}

/** The cells of the rows of the tables in a text, without the headers. */
function rowsOf(text: string): string[][] {
  const rows = text.split('\n').filter((line) => line.startsWith('|'));
  const cells = rows.map((line) =>
    line
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim())
      .slice(1, -1),
  );
  return cells.filter((row, i) => !isRuler(row) && !isRuler(cells[i + 1]));
}

const isRuler = (row: readonly string[] | undefined): boolean => row?.every((cell) => /^-+$/.test(cell)) === true;

/** The texts in backticks. */
const named = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '');

const numberIn = (text = ''): number => Number(text.replaceAll(',', ''));

/** Names that a snippet may use without an import. */
const PRELUDE = `declare const app: import('express').Express;`;

function errorsIn(snippets: Readonly<Record<string, string>>): readonly string[] {
  return check({ virtual: { 'test/prelude.d.ts': PRELUDE, ...snippets } }).errors;
}

describe('the snippets', () => {
  const snippets = Object.fromEntries(
    pages.flatMap((page) => fenced(read(page), 'ts').map((text, i) => [`test/${page}.${i}.ts`, text])),
  );

  it(
    'compile without changes',
    () => {
      expect(Object.keys(snippets).length).toBeGreaterThan(15);
      expect(errorsIn(snippets)).toEqual([]);
    },
    MINUTE,
  );

  it(
    'fail to compile with a misspelled option or an unknown name',
    () => {
      const [first = ''] = Object.values(snippets);
      const errors = errorsIn({
        'test/option.ts': first.replace('audience:', 'audiences:'),
        'test/name.ts': first.replaceAll('requireScopes', 'requireScope'),
      });
      expect(errors).toEqual([
        expect.stringMatching(/^test\/option\.ts:5 .*'audiences'/),
        expect.stringMatching(/^test\/name\.ts:2 .*'requireScope'/),
      ]);
    },
    MINUTE,
  );
});

/** Runs a snippet without changes. Returns its exports and the requested variables. */
function runSnippet(text: string, modules: Readonly<Record<string, unknown>>, variables = ''): Record<string, unknown> {
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true },
  });
  const program = compileFunction(`${outputText}; return { ...exports, ${variables} };`, ['require', 'exports']) as (
    ...args: unknown[]
  ) => Record<string, unknown>;
  return program((name: string) => modules[name] ?? process.getBuiltinModule(name), {});
}

describe('the quick start', () => {
  const [text = ''] = fenced(readme, 'ts');

  /** Runs the program of the README with a test issuer instead of its own, and does not open the port. */
  function run(issuer: string, audience: string, more = '', program = text): { app: Express; ports: unknown[] } {
    const ports: unknown[] = [];
    const createApp = (): Express => {
      const app = express();
      return Object.assign(app, { listen: (port: unknown) => ports.push(port) });
    };
    const own = program
      .replace(/http:\/\/127\.0\.0\.1:4444|https:\/\/auth\.example\.com/, issuer)
      .replace("'https://api.example.com'", `'${audience}'${more}`);
    const { app } = runSnippet(own, { express: createApp, 'express-resource-server': library }, 'app');
    return { app: app as Express, ports };
  }

  it('listens on the port of the curl commands', async () => {
    const issuer = await startIssuer();
    const { ports } = run(issuer.url, issuer.audience);
    const urls = [...readme.matchAll(/http:\/\/localhost:(\d+)/g)];
    expect(urls.length).toBeGreaterThan(0);
    expect(new Set(urls.map(([, port]) => Number(port)))).toEqual(new Set(ports));
  });

  it('runs in CommonJS with the lines that the README shows for CommonJS', async () => {
    const issuer = await startIssuer();
    const imports = /^import .*;\n/gm;
    expect(text.match(imports)).toHaveLength(2);
    const [requires = ''] = fenced(readme, 'js');
    const { app } = run(issuer.url, issuer.audience, '', requires + text.replaceAll(imports, ''));
    const token = await issuer.issue({ scope: 'orders:read' });
    const response = await supertest(app).get('/api/orders').auth(token, { type: 'bearer' });
    expect([response.status, response.body]).toEqual([200, { client: 'client-1' }]);
  });

  it('sends the responses that the README shows, with a token and without one', async () => {
    const issuer = await startIssuer();
    const { app } = run(issuer.url, issuer.audience);
    const token = await issuer.issue({ scope: 'orders:read' });
    expect([await responseOf(app, token), await responseOf(app)]).toEqual(fenced(readme, 'http'));
  });

  it('sends the responses that the page on errors shows', async () => {
    const issuer = await startIssuer();
    const { url, audience } = issuer;
    const expired = await issuer.issue({ exp: issuer.now - 60 });
    const responses = [
      await responseOf(run(url, audience).app, expired),
      await responseOf(run(url, audience).app, await issuer.issue()),
    ];
    await issuer.goDown();
    responses.push(await responseOf(run(url, audience).app, await issuer.issue()));
    responses.push(await responseOf(run(url, audience, ", errors: 'problem'").app, expired));
    expect(fenced(read(ERRORS), 'http').sort()).toEqual(responses.sort());
  });

  async function responseOf(app: Express, token?: string): Promise<string> {
    const request = supertest(app).get('/api/orders');
    const { status, headers, text } = await (token === undefined ? request : request.auth(token, { type: 'bearer' }));
    const fields = ['Cache-Control', 'Retry-After', 'WWW-Authenticate', 'Content-Type'].flatMap((name) => {
      const value = headers[name.toLowerCase()];
      return value === undefined ? [] : [`${name}: ${value}`];
    });
    return [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...fields, '', text, ''].join('\n');
  }
});

type Options = Readonly<Record<string, unknown>>;

const issuer = 'https://auth.example.com';
const call = (factory: (...args: never[]) => unknown, ...args: unknown[]): unknown =>
  Reflect.apply(factory, undefined, args);
// Nothing is fetched: a slow resolver would keep the process alive after the tests.
const keys = { prefetch: false };
const command = (): Promise<null> => Promise.resolve(null);
const make = {
  jwtVerifier: (given: Options) => call(library.jwtVerifier, { issuer, audience: 'a', keys, ...given }),
  introspectionVerifier: (given: Options) =>
    call(library.introspectionVerifier, { issuer, clientId: 'c', clientSecret: 's', audience: 'a', keys, ...given }),
  bearer: (given: Options) => call(library.bearer, { verify: () => Promise.reject(new Error()) }, given),
  trustedIssuers: (given: Options) => call(library.trustedIssuers, () => undefined, given),
  protectedResourceMetadata: (given: Options) =>
    call(library.protectedResourceMetadata, { resource: issuer, authorizationServers: [issuer], ...given }),
  memoryStore: (given: Options) => call(library.memoryStore, given),
  redisStore: (given: Options) => call(library.redisStore, { get: command, set: command, del: command }, given),
  mcpAuthInfo: (given: Options) => call(mcp.mcpAuthInfo, given),
  mcpTokenVerifier: (given: Options) =>
    call(mcp.mcpTokenVerifier, { verify: () => Promise.reject(new Error()) }, given),
};

/** The tables of options, and how an option of each table is passed to the code. */
const OPTIONS: readonly (readonly [heading: string, createWith: (options: Options) => unknown])[] = [
  ['## `jwtVerifier`', make.jwtVerifier],
  ['### `keys`', (given) => make.jwtVerifier({ keys: { ...keys, ...given } })],
  ['### `cache`', (cache) => make.jwtVerifier({ cache })],
  ['## `introspectionVerifier`', make.introspectionVerifier],
  ['### `cache` of `introspectionVerifier`', (cache) => make.introspectionVerifier({ cache })],
  ['## `bearer`', make.bearer],
  ['### `dpop`', (dpop) => make.bearer({ dpop: { mode: 'allowed', nonce: true, ...dpop } })],
  ['### `mtls`', (mtls) => make.bearer({ mtls: { mode: 'allowed', ...mtls } })],
  ['## `trustedIssuers`', make.trustedIssuers],
  ['## `protectedResourceMetadata`', make.protectedResourceMetadata],
  ['## `mcpAuthInfo`', make.mcpAuthInfo],
  ['## `mcpTokenVerifier`', make.mcpTokenVerifier],
  ['## `memoryStore`', make.memoryStore],
  ['## `redisStore`', make.redisStore],
];

it('covers every table of the page on options', () => {
  const page = read(OPTIONS_PAGE);
  const headings = [...page.matchAll(/^##+ .*$/gm)].map(([heading]) => heading);
  expect(headings.filter((heading) => rowsBelow(page, heading).length > 0)).toEqual(
    OPTIONS.map(([heading]) => heading),
  );
});

/** The error of the code for an option, or `undefined` if the code accepts it. */
function problemWith(
  createWith: (options: Options) => unknown,
  options: Options,
): library.ConfigurationProblem | undefined {
  try {
    createWith(options);
    return undefined;
  } catch (error) {
    if (error instanceof library.ConfigurationError) return error;
    throw error;
  }
}

describe.each(OPTIONS)('the table below "%s"', (heading, createWith) => {
  const rows = rowsBelow(read(OPTIONS_PAGE), heading);

  it('names exactly the existing options', () => {
    const known = problemWith(createWith, { 'no such option': 1 })
      ?.expected.replace(/^one of /, '')
      .split(', ');
    expect(rows.map(([name]) => named(name)[0]).sort()).toEqual(known?.sort());
  });

  it.each(rows.map(([name, , standard, range]) => [named(name)[0] ?? '', standard ?? '', range ?? ''] as const))(
    'has the range and the default of %s',
    (name, standard, range) => {
      const problem = problemWith(createWith, { [name]: Symbol('of no use') });
      const [, least, most] = / from (\d[\d.]*) to (\d[\d.]*)/.exec(problem?.expected ?? '') ?? [];
      expect(range.split(' to ').map(numberIn)).toEqual(least === undefined ? [0] : [Number(least), Number(most)]);
      const reported = /^Leave it out for (.+)\.$/.exec(problem?.fix ?? '')?.[1] ?? '';
      const number = /^\d+(?:\.\d+)?/.exec(reported)?.[0];
      if (number !== undefined) expect(numberIn(standard)).toBe(Number(number));
      else if (reported !== '' && standard.includes('`')) {
        expect(named(standard)).toEqual(reported.replaceAll('"', '').split(/, | and /));
      }
    },
  );

  it('has ranges that the code enforces', () => {
    for (const [name, , , range = ''] of rows.filter((row) => row[3] !== '')) {
      const option = named(name)[0] ?? '';
      const [least = NaN, most = NaN] = range.split(' to ').map(numberIn);
      expect([least, most].map((value) => problemWith(createWith, { [option]: value }))).toEqual([
        undefined,
        undefined,
      ]);
      for (const value of [least - 0.01, most + 1]) {
        expect(problemWith(createWith, { [option]: value })?.option).toContain(option);
      }
    }
  });
});

describe('the table of frequent options', () => {
  it('names existing options of the named function', () => {
    const known = {
      jwtVerifier: optionsBelow('## `jwtVerifier`'),
      verifiers: [...optionsBelow('## `jwtVerifier`'), ...optionsBelow('## `introspectionVerifier`')],
      middlewares: optionsBelow('## `bearer`'),
    };
    for (const [names, of = ''] of rowsBelow(read(GETTING_STARTED), '## Options that matter most often')) {
      const reported = named(names).map((name) => name.replace(/:.*/, ''));
      expect(known[of.replaceAll('`', '') as keyof typeof known]).toEqual(expect.arrayContaining(reported));
    }
  });

  const optionsBelow = (heading: string): string[] =>
    rowsBelow(read(OPTIONS_PAGE), heading).map(([name]) => named(name)[0] ?? '');
});

describe('the table of client authentication', () => {
  const rows = tableWith(read(OPAQUE_TOKENS), "'client_secret_basic'");

  it('names exactly the supported methods', () => {
    const problem = problemWith(make.introspectionVerifier, { clientAuthentication: 'none' });
    const known = problem?.expected.split(/, (?!algorithm|keyId)| or /);
    expect(rows.map(([method]) => named(method)[0]).sort()).toEqual(known?.sort());
  });
});

describe('the table of the methods of a store', () => {
  it('names exactly the functions that call the store', () => {
    const problem = problemWith(make.introspectionVerifier, { store: {} });
    const rows = tableWith(read(STORES), 'get(').map(([name]) => named(name)[0]?.replace(/\(.*/, ''));
    expect(problem?.expected).toMatch(new RegExp(` ${rows.join(', ')}$`));
  });
});

describe('the file store of the page on stores', () => {
  const directory = mkdtempSync(join(tmpdir(), 'express-resource-server-'));
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });
  const text = fenced(read(STORES), 'ts').find((each) => each.includes('function fileStore')) ?? '';
  const { fileStore } = runSnippet(text, {}) as { fileStore: (directory: string) => library.Store };

  it('stores a value for its lifetime, and returns undefined for other keys', async () => {
    const store = fileStore(directory);
    await store.set('long:1', { keys: ['ä'] }, 60);
    await store.set('short', 1, 0.001);
    await new Promise((resolve) => setTimeout(resolve, 10));
    await store.set('deleted', 1, 60);
    await store.delete('deleted');
    await store.delete('never set');
    const found = ['long:1', 'short', 'deleted', 'never set'].map((key) => store.get(key));
    expect(await Promise.all(found)).toEqual([{ keys: ['ä'] }, undefined, undefined, undefined]);
  });

  it('lets an API start while the issuer is down', async () => {
    const issuer = await startIssuer();
    const options = { issuer: issuer.url, audience: issuer.audience, keySnapshot: fileStore(directory) };
    const before = library.jwtVerifier(options);
    await before.ready();
    while (!readdirSync(directory).some((file) => /^keys.*json$/.test(file))) await new Promise(setImmediate);
    await before.close();
    const token = await issuer.issue();
    await issuer.goDown();
    const after = library.jwtVerifier(options);
    expect((await after.verify(token)).clientId).toBe('client-1');
    await after.close();
  });
});

describe('the table of gates', () => {
  it('names exactly the existing gates', () => {
    const gates = Object.keys(library).filter((name) => name.startsWith('require'));
    const rows = tableWith(read(GATES), 'requireScopes(').map(([name]) => named(name)[0]?.replace(/\(.*/, ''));
    expect(rows.sort()).toEqual(gates.sort());
  });

  it('has no gate that is missing in the README', () => {
    const gates = Object.keys(library).filter((name) => name.startsWith('require'));
    expect(gates.filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
  });
});

describe('the table of the properties of Auth', () => {
  it(
    'names exactly the members of Auth',
    () => {
      const rows = rowsBelow(read(GETTING_STARTED), '## What a handler reads').flatMap(([name]) => named(name));
      const [type] = typesOf(['Auth']);
      expect(rows.sort()).toEqual(
        type
          ?.getProperties()
          .map(({ name }) => name)
          .sort(),
      );
    },
    MINUTE,
  );
});

/** Public types, as the compiler reads them. */
function typesOf(names: readonly string[]): ts.Type[] {
  const file = 'test/public-types.ts';
  const text = [
    `import type * as library from 'express-resource-server';`,
    ...names.map((name, i) => `export type T${i} = library.${name};`),
  ].join('\n');
  const { program, errors } = check({ virtual: { [file]: text } });
  if (errors.length > 0) throw new Error(errors.join('\n'));
  const source = program.getSourceFile(join(ROOT, file));
  const aliases = source?.statements.filter((statement) => ts.isTypeAliasDeclaration(statement)) ?? [];
  return aliases.map((alias) => program.getTypeChecker().getTypeAtLocation(alias));
}

function literals(type: ts.Type | undefined): string[] {
  const parts = type?.isUnion() === true ? type.types : [type];
  return parts.flatMap((part) => (part?.isStringLiteral() === true ? [part.value] : [])).sort();
}

describe('the table of failures', () => {
  const rows = tableWith(read(ERRORS), 'MissingTokenError');
  const classes = Object.entries(library).filter(
    ([, value]) => typeof value === 'function' && value.prototype instanceof library.ResourceServerError,
  );
  let reasons: string[] = [];
  let reasonsOf: string[][] = [];

  beforeAll(() => {
    const [all, ...each] = typesOf(['Reason', ...classes.map(([name]) => `${name}['reason']`)]);
    reasons = literals(all);
    reasonsOf = each.map((type) => literals(type));
  }, MINUTE);

  it('names exactly the exported classes', () => {
    expect(rows.map(([name]) => named(name)[0]).sort()).toEqual(classes.map(([name]) => name).sort());
  });

  it('names every reason once', () => {
    expect(reasons.length).toBeGreaterThan(20);
    expect(rows.flatMap((row) => named(row[3])).sort()).toEqual(reasons);
  });

  it.each(classes.map(([name], i) => [name, i] as const))('has the reasons of %s', (name, i) => {
    const reported = named(rows.find(([cell]) => named(cell)[0] === name)?.[3]).sort();
    const own = reasonsOf[i] ?? [];
    // A class that does not narrow its reason inherits the type of the base class, which contains all reasons.
    if (own.length < reasons.length) expect(reported).toEqual(own);
    else expect(reported.length).toBeGreaterThan(0);
  });

  it.each(classes)('has the status and the code of %s', (name, constructor) => {
    const [, status = '', code = '', reported] = rows.find(([cell]) => named(cell)[0] === name) ?? [];
    for (const reason of named(reported)) {
      // Every constructor has the reason as its first parameter, except for two that have none and ignore it.
      const error = Reflect.construct(constructor as new () => unknown, [reason, 1]) as library.ResourceServerError;
      expect(String(error.status ?? 'none')).toBe(status);
      expect(error.code === undefined ? code.startsWith('none') : named(code).includes(error.code)).toBe(true);
    }
  });

  it('has a section for each sentence on the wire, which names its reason and status', () => {
    for (const [reason, sentence] of Object.entries(SENTENCES)) {
      const sections = sectionsBelow(`### ${sentence}`);
      expect([reason, sections.length]).toEqual([reason, 1]);
      const [, status = ''] = rows.find((row) => named(row[3]).includes(reason)) ?? [];
      expect(named(sections[0])).toContain(reason);
      expect(sections[0]).toContain(status);
    }
  });

  it('has no section for a sentence that does not exist', () => {
    const sentences = new Set<string>(Object.values(SENTENCES));
    const headings = [...read(ERRORS).matchAll(/^### (.*)$/gm)].map(([, heading = '']) => heading);
    expect(headings.filter((heading) => heading.endsWith('.') && !sentences.has(heading))).toEqual([]);
  });

  const sectionsBelow = (heading: string): string[] =>
    `\n${read(ERRORS)}`
      .split(/\n(?=#{1,3} )/)
      .filter((section) => section.startsWith(`${heading}\n`))
      .map((section) => section.slice(heading.length));
});
