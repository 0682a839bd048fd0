/**
 * Packs the package, installs it in the projects of projects.js and runs each of them to the end:
 *
 *   node test/projects/run.js            the default ones, as CI does
 *   node test/projects/run.js --all      all
 *   node test/projects/run.js jest nest  those whose name contains one of these
 *
 * The folders are outside the checkout, so that no package of the checkout can be found from them. They stay there for the
 * next run.
 */
import { execFile } from 'node:child_process';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { GROUPS, PROJECTS, TOOLS } from './projects.js';

const execute = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = join(tmpdir(), `projects-${createHash('sha256').update(ROOT).digest('hex').slice(0, 8)}`);
const TARBALL = join(FOLDER, 'package.tgz');
const PARALLEL = 2;
const TIMEOUT = 180_000;

const { values: flags, positionals: words } = parseArgs({
  options: { all: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const chosen = PROJECTS.filter(({ name, all }) =>
  words.length > 0 ? words.some((word) => name.toLowerCase().includes(word.toLowerCase())) : flags.all || !all,
);
const started = performance.now();

if (!existsSync(join(ROOT, 'dist/index.cjs'))) await execute('npm', ['run', 'build'], { cwd: ROOT });
mkdirSync(FOLDER, { recursive: true });
await pack();
for (const tool of new Set(chosen.flatMap(({ node, tools }) => [node ?? [], tools].flat()))) {
  await install(toolFolder(tool), { [tool]: TOOLS[tool] });
}
for (const group of new Set(chosen.flatMap(({ group }) => group ?? []))) {
  await install(join(FOLDER, group), GROUPS[group]);
  await installPackage(join(FOLDER, group));
}
console.log(`installed in ${seconds(started)} s, in ${FOLDER}`);

const fixture = JSON.stringify(createFixture());
const failures = [];
const queue = [...chosen];
const worker = async () => {
  for (let project = queue.shift(); project !== undefined; project = queue.shift()) {
    const begin = performance.now();
    const failure = await runProject(project);
    if (failure !== undefined) failures.push(failure);
    console.log(`${failure === undefined ? 'ok    ' : 'FAILED'} ${seconds(begin).padStart(5)} s  ${project.name}`);
    if (failure !== undefined) console.log(failure.replaceAll(/^/gm, '    '));
  }
};
await Promise.all(Array.from({ length: PARALLEL }, worker));
console.log(`projects: ${chosen.length - failures.length} passed, ${failures.length} failed`);
console.log(`${seconds(started)} s`);
if (failures.length > 0 || chosen.length === 0) process.exitCode = 1;

function seconds(since) {
  return ((performance.now() - since) / 1000).toFixed(1);
}

async function pack() {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', FOLDER];
  const { stdout } = await execute('npm', args, { cwd: ROOT });
  renameSync(join(FOLDER, JSON.parse(stdout)[0].filename), TARBALL);
}

function toolFolder(tool) {
  return join(FOLDER, 'tools', tool);
}

function toolBin(tool) {
  return join(toolFolder(tool), 'node_modules/.bin');
}

/** Installs packages, unless the last run has installed the same. */
async function install(folder, dependencies) {
  const text = JSON.stringify({ private: true, dependencies }, null, 2);
  const done = join(folder, 'installed.json');
  if (existsSync(done) && readFileSync(done, 'utf8') === text) return;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), text);
  // Deno's and Bun's packages fetch their binary with a script, from another package of the registry.
  await npm(folder, 'install', '--no-package-lock');
  writeFileSync(done, text);
}

async function installPackage(folder) {
  // npm does not unpack a tarball again whose name and version are installed.
  rmSync(join(folder, 'node_modules/express-resource-server'), { recursive: true, force: true });
  await npm(folder, 'install', '--no-package-lock', '--no-save', TARBALL);
}

async function npm(cwd, ...args) {
  await execute('npm', [...args, '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'], { cwd });
}

/** Runs one project: `undefined`, or what failed. */
async function runProject({ name, group, node, tools, files, run, expect }) {
  const home = join(FOLDER, group ?? 'alone');
  const folder = join(home, name.replaceAll(/[^A-Za-z0-9.]+/g, '-'));
  rmSync(folder, { recursive: true, force: true });
  for (const [file, text] of Object.entries({ ...files, 'fixture.json': fixture })) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  if (group === undefined) cpSync(TARBALL, join(folder, 'package.tgz'));
  const bin = node === undefined ? dirname(process.execPath) : join(toolFolder(node), 'node_modules', node, 'bin');
  const env = {
    HOME: process.env.HOME,
    PATH: [bin, join(home, 'node_modules/.bin'), ...tools.map(toolBin), process.env.PATH].join(':'),
    GROUP: home,
    LONELY: join(FOLDER, 'lonely', name.replaceAll(/[^A-Za-z0-9.]+/g, '-')),
    NO_COLOR: '1',
    CI: 'true',
  };
  for (const [i, command] of run.entries()) {
    try {
      const { stdout, stderr } = await execute('sh', ['-c', command], { cwd: folder, env, timeout: TIMEOUT });
      if (i === run.length - 1 && !expect.test(stdout)) return `${command}\n${stdout}${stderr}`.slice(-3_000);
    } catch (error) {
      return `${command}\n${error.stdout ?? ''}${error.stderr ?? error.message}`.slice(-3_000);
    }
  }
  return undefined;
}

/** An issuer's keys, and a token. Needs no package. */
function createFixture() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [issuer, audience] = ['https://auth.example.com', 'https://api.example.com'];
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, aud: audience, sub: 'client-1', client_id: 'client-1', iat: now, exp: now + 3600 };
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${encode({ alg: 'ES256', typ: 'at+jwt', kid: 'k' })}.${encode({ ...claims, scope: 'orders:read' })}`;
  const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256', use: 'sig' };
  return { issuer, audience, jwks: { keys: [jwk] }, token: `${input}.${signature.toString('base64url')}` };
}
