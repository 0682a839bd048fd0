import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** From top to bottom: a folder imports from itself and from folders below it. Files of lib itself are the base. */
const ROOMS = ['express', 'verify', 'proof', 'issuer', 'store', 'token', 'util', ''];
/** Sub-exports: they may use every room, and no room uses them. */
const ANNEXES = ['testing', 'opentelemetry', 'mcp', 'cli'];
/** What users import: they only name what is elsewhere. */
const ENTRANCES = ['index.ts', 'augment.ts'];
/** Where a package may be imported, types included. */
const CONFINED: Readonly<Record<string, RegExp>> = {
  express: /^express\//,
  redis: /^store\/redis\.ts$/,
  '@redis/client': /^store\/redis\.ts$/,
  '@opentelemetry/api': /^opentelemetry\//,
};
/** The only file that reads the environment: it must not work outside tests. */
const READS_ENVIRONMENT = 'testing/fake-auth.ts';
/** Packages whose code the build includes. Users do not install them, so no declaration may import them. */
const BUNDLED = ['jose', 'node-cache'];
const MOST_LINES = 300;

interface Target {
  readonly types: string;
  readonly default: string;
}

interface PackageJson {
  readonly exports: Readonly<Record<string, string | Readonly<Record<'import' | 'require', Target>>>>;
  readonly typesVersions: unknown;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

const packageJson = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as PackageJson;

const files = readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.split(sep).join('/'));

/** What is wrong with one file of lib: `file` is its path there, with `/`. */
function violations(file: string, source: string): string[] {
  const imports = ts.preProcessFile(source, true, true).importedFiles.map(({ fileName }) => fileName);
  const found = imports.flatMap((specifier) => importViolation(file, specifier) ?? []);
  if (file !== READS_ENVIRONMENT && readsEnvironment(file, source)) found.push(`${file} reads the environment`);
  const lines = source.split('\n').length - 1;
  if (lines > MOST_LINES) found.push(`${file} has ${lines} lines`);
  return found;
}

function importViolation(file: string, specifier: string): string | undefined {
  const isAllowed = specifier.startsWith('.')
    ? mayImportFile(
        file,
        relative('/', join('/', dirname(file), specifier))
          .split(sep)
          .join('/'),
      )
    : mayImportPackage(file, specifier);
  return isAllowed ? undefined : `${file} imports ${specifier}`;
}

function mayImportFile(from: string, to: string): boolean {
  if (to.startsWith('..')) return false;
  const [fromRoom, toRoom] = [roomOf(from), roomOf(to)];
  if (fromRoom === toRoom && fromRoom !== '') return true;
  // `util` has no domain knowledge.
  if (fromRoom === 'util') return to === 'errors.js';
  // The command is the test kit's issuer with a token endpoint.
  if (fromRoom === 'cli' && toRoom === 'testing') return true;
  if (ANNEXES.includes(toRoom)) return false;
  if (ENTRANCES.includes(to.replace(/\.js$/, '.ts'))) return ANNEXES.includes(fromRoom);
  if (ENTRANCES.includes(from) || ANNEXES.includes(fromRoom)) return true;
  const [fromHeight, toHeight] = [ROOMS.indexOf(fromRoom), ROOMS.indexOf(toRoom)];
  return fromHeight >= 0 && toHeight >= fromHeight;
}

function roomOf(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : '';
}

function mayImportPackage(from: string, specifier: string): boolean {
  if (specifier.startsWith('node:')) return true;
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const place = CONFINED[name];
  if (place !== undefined && !place.test(from)) return false;
  const { peerDependencies } = packageJson;
  return BUNDLED.includes(name) || name in peerDependencies;
}

function readsEnvironment(file: string, source: string): boolean {
  let found = false;
  const visit = (node: ts.Node): void => {
    const isProperty = ts.isPropertyAccessExpression(node) && node.name.text === 'env';
    const isElement =
      ts.isElementAccessExpression(node) &&
      ts.isStringLiteralLike(node.argumentExpression) &&
      node.argumentExpression.text === 'env';
    const isImported = ts.isImportSpecifier(node) && (node.propertyName ?? node.name).text === 'env';
    const isTakenOut =
      ts.isBindingElement(node) && (node.propertyName ?? node.name).getText() === 'env' && source.includes('process');
    if (isProperty || isElement || isImported || isTakenOut) found = true;
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, source, ts.ScriptTarget.ES2022, true));
  return found;
}

describe('the rooms of lib', () => {
  it.each(files)('%s keeps to its room', (file) => {
    expect(violations(file, readFileSync(join(ROOT, 'lib', file), 'utf8'))).toEqual([]);
  });

  it.each(files.map(roomOf).filter((room, i, all) => all.indexOf(room) === i))(
    '"%s" is a room that has a place',
    (room) => {
      expect([...ROOMS, ...ANNEXES]).toContain(room);
    },
  );
});

describe('the checker of rooms', () => {
  it.each([
    ['options in util', 'util/url.ts', "import { text } from '../options.js';"],
    ['a room above', 'token/claims.ts', "import { jwtVerifier } from '../verify/jwt.js';"],
    [
      'the type of a room above',
      'issuer/key-set.ts',
      "import type { TokenVerifier } from '../verify/token-verifier.js';",
    ],
    ['a type of a room above, in passing', 'store/store.ts', "let keys: import('../issuer/key-set.js').KeySet;"],
    ['a room above, at run time', 'store/replay-cache.ts', "await import('../proof/policy.js');"],
    ['what it hands on from a room above', 'errors.ts', "export * from './token/claims.js';"],
    ['the front door', 'verify/jwt.ts', "import { bearer } from '../index.js';"],
    ['a sub-export', 'express/bearer.ts', "import { TestIssuer } from '../testing/issuer.js';"],
    ['a sub-export from another', 'mcp/index.ts', "import { TestIssuer } from '../testing/issuer.js';"],
    ['a sub-export from the front door', 'index.ts', "export { TestIssuer } from './testing/issuer.js';"],
    ['what is outside lib', 'verify/jwt.ts', "import { serve } from '../../test/helpers.js';"],
    ['Express below its room', 'verify/jwt.ts', "import express from 'express';"],
    ["Express's types below its room", 'token/credentials.ts', "import type { Request } from 'express';"],
    ['Redis outside its file', 'store/replay-cache.ts', "import type { RedisClientType } from 'redis';"],
    ['a package that is no dependency', 'verify/jwt.ts', "import jwt from 'some-other-package';"],
    ['a development dependency', 'verify/jwt.ts', "import { expect } from '@jest/globals';"],
  ])('catches %s', (_, file, source) => {
    expect(violations(file, source)).toEqual([expect.stringMatching(/ imports /)]);
  });

  it.each([
    ['by name', 'const { TOKEN } = process.env;'],
    ['by index', "const token = process['env'].TOKEN;"],
    ['by import', "import { env as settings } from 'node:process';"],
    ['by destructuring', 'const { env } = process;'],
  ])('catches a read of the environment %s', (_, source) => {
    expect(violations('options.ts', source)).toEqual(['options.ts reads the environment']);
  });

  it('catches a file that is too long', () => {
    expect(violations('options.ts', '\n'.repeat(MOST_LINES + 1))).toEqual(['options.ts has 301 lines']);
  });

  it('lets a room use itself and what is below it', () => {
    const source = `
      import type { Request } from 'express';
      import { createHash } from 'node:crypto';
      import { getAuth } from './auth.js';
      import { jwtVerifier } from '../verify/jwt.js';
      import { ConfigurationError } from '../errors.js';
    `;
    expect(violations('express/gates.ts', source)).toEqual([]);
  });
});

describe('the front door', () => {
  it('opens to the sub-exports alone', () => {
    const known = ['.', './augment', './testing', './opentelemetry', './mcp', './package.json'];
    expect(Object.keys(packageJson.exports).filter((name) => !known.includes(name))).toEqual([]);
  });

  it.each(Object.entries(packageJson.exports))('%s leads to what is built from lib', (name, target) => {
    if (typeof target === 'string') {
      expect(target).toBe('./package.json');
      return;
    }
    const entry = name === '.' ? 'index' : name.slice(2);
    expect(target).toEqual({
      import: { types: `./dist/${entry}.d.ts`, default: `./dist/${entry}.js` },
      require: { types: `./dist/${entry}.d.cts`, default: `./dist/${entry}.cjs` },
    });
    const source = ENTRANCES.includes(`${entry}.ts`) ? `${entry}.ts` : `${entry}/index.ts`;
    expect(files).toContain(source);
    if (name !== '.') expect(packageJson.typesVersions).toHaveProperty(['*', entry], [`dist/${entry}.d.cts`]);
  });
});
