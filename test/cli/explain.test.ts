import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestIssuer } from '../../lib/testing/issuer.js';
import { DpopClient, now } from '../support/dpop.js';
import { type CommandResult, MAIN, runCommand, runProcess } from './command.js';

let issuer: TestIssuer;

beforeAll(async () => {
  issuer = await TestIssuer.start();
});
afterAll(() => issuer.close());

/** Explains a token with the `--issuer` and the `--audience` of the issuer. */
function explain(token: string, ...args: string[]): Promise<CommandResult> {
  return runCommand(['explain', '--issuer', issuer.url, '--audience', issuer.audience, ...args], { input: token });
}

interface Explained {
  readonly accepted: boolean | null;
  readonly checks: { name: string; state: string; expected?: unknown; found?: unknown; fix?: string }[];
  readonly token: { header: Record<string, unknown> | null; claims: Record<string, unknown> | null };
}

async function explainJson(token: string, ...args: string[]): Promise<Explained & { status: number | null }> {
  const { status, stdout } = await explain(token, '--json', ...args);
  return { status, ...(JSON.parse(stdout) as Explained) };
}

const checkOf = ({ checks }: Explained, name: string): Explained['checks'][number] | undefined =>
  checks.find((check) => check.name === name);

describe('explain', () => {
  it('accepts a valid token with exit status 0, and shows its content without the signature', async () => {
    const token = await issuer.issue({ scope: 'orders:read' });
    const { status, stdout, stderr } = await explain(`${token}\n`);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('The token is accepted.');
    expect(stdout).toMatch(/^passed {7}signature/m);
    expect(stdout).toContain('"scope": "orders:read"');
    expect(stdout).toContain('"kid":');
    expect(stdout).toMatch(/^exp {2}\d{4}-\d\d-\d\dT/m);
    const [, , signature = ''] = token.split('.');
    expect(stdout).not.toContain(signature);
    expect(stdout).not.toContain(token.split('.')[1]);
  });

  it('rejects an invalid token with exit status 1, and names every failed check and its fix', async () => {
    const token = await issuer.issue({ aud: 'https://other.example.com', exp: now() - 180, iat: now() - 200 });
    const { status, stdout } = await explain(token);
    expect(status).toBe(1);
    expect(stdout).toMatch(
      /^failed {7}audience\n {13}expected {2}\["https:\/\/api.example.com"\]\n {13}found {5}"https:\/\/other/m,
    );
    expect(stdout).toMatch(/fix {7}exp was 3 minutes ago/);
    expect(stdout).toMatch(/The token is rejected: .*audience.*\./);
  });

  it('has exit status 2 and shows the cause while the keys are unavailable', async () => {
    const down = await TestIssuer.start();
    const token = await down.issue();
    await down.close();
    const result = await runCommand(['explain', '--issuer', down.url, '--audience', down.audience], { input: token });
    expect(result.status).toBe(2);
    expect(result.stdout).toMatch(/^not reached {2}key/m);
    expect(result.stdout).toContain('ECONNREFUSED');
    expect(result.stdout).toContain('It cannot be determined whether the token is accepted.');
    expect(result.stderr).toBe('');
  });

  it('writes JSON for programs', async () => {
    const explained = await explainJson(await issuer.issue());
    expect(explained).toMatchObject({ status: 0, accepted: true, token: { claims: { iss: issuer.url } } });
    expect(new Set(explained.checks.map(({ state }) => state))).toEqual(new Set(['passed']));
  });

  it('writes null for a check without a result', async () => {
    const down = await TestIssuer.start();
    const token = await down.issue();
    await down.close();
    const args = ['explain', '--issuer', down.url, '--audience', down.audience, '--json'];
    const { status, stdout } = await runCommand(args, { input: token });
    expect({ status, accepted: (JSON.parse(stdout) as Explained).accepted }).toEqual({ status: 2, accepted: null });
  });

  it('accepts several audiences', async () => {
    const { status } = await explain(await issuer.issue({ aud: 'orders' }), '--audience', 'orders');
    expect(status).toBe(0);
  });

  it('reads a whole header field', async () => {
    expect((await explain(`Authorization: Bearer ${await issuer.issue()}`)).status).toBe(0);
  });

  it('reports that a token is opaque', async () => {
    const { status, checks, token } = await explainJson('opaque-token');
    expect(status).toBe(1);
    expect(checks[0]).toMatchObject({ name: 'form', state: 'failed', fix: expect.stringContaining('opaque') });
    expect(token).toEqual({ header: null, claims: null });
  });
});

describe('--scope', () => {
  it('passes a token that has all scopes', async () => {
    const token = await issuer.issue({ scope: 'a b c' });
    const explained = await explainJson(token, '--scope', 'a', '--scope', 'c');
    expect(explained.status).toBe(0);
    expect(checkOf(explained, 'scope')).toMatchObject({
      state: 'passed',
      expected: ['a', 'c'],
      found: ['a', 'b', 'c'],
    });
  });

  it('rejects a token without one of them', async () => {
    const explained = await explainJson(await issuer.issue({ scope: 'a' }), '--scope', 'a', '--scope', 'b');
    expect(explained).toMatchObject({ status: 1, accepted: false });
    expect(checkOf(explained, 'scope')).toMatchObject({ state: 'failed', fix: expect.stringContaining('scope') });
  });

  it('is not checked for a token that is not a JWT', async () => {
    expect(checkOf(await explainJson('opaque', '--scope', 'a'), 'scope')?.state).toBe('not reached');
  });
});

describe('--dpop', () => {
  const URL = 'https://api.example.com/';
  const request = ['--method', 'GET', '--url', `${URL}?page=2`];

  it('checks the proof of a token that is bound to a key', async () => {
    const client = await DpopClient.make();
    const token = await issuer.issue({ cnf: client.cnf });
    const good = await explainJson(token, '--dpop', await client.prove(token), ...request);
    expect(good.status).toBe(0);
    expect(checkOf(good, 'DPoP proof')?.state).toBe('passed');
    const proof = await client.prove(token, { claims: { htm: 'POST' } });
    const bad = await explainJson(token, '--dpop', proof, ...request);
    expect(bad.status).toBe(1);
    expect(checkOf(bad, 'DPoP proof')).toMatchObject({ state: 'failed', expected: 'GET', found: 'POST' });
  });

  it('rejects the proof of another client', async () => {
    const [client, other] = [await DpopClient.make(), await DpopClient.make()];
    const token = await issuer.issue({ cnf: client.cnf });
    const explained = await explainJson(token, '--dpop', await other.prove(token), ...request);
    expect(explained.status).toBe(1);
    expect(checkOf(explained, 'DPoP proof')?.expected).toBe(client.thumbprint);
  });

  it('rejects a token that is not bound', async () => {
    const token = await issuer.issue();
    const explained = await explainJson(token, '--dpop', await (await DpopClient.make()).prove(token), ...request);
    expect(explained.status).toBe(1);
  });

  it('is required for a bound token', async () => {
    const explained = await explainJson(await issuer.issue({ cnf: { jkt: 'thumbprint' } }));
    expect(explained.status).toBe(2);
    expect(checkOf(explained, 'DPoP proof')?.fix).toMatch(/pass --dpop, --method and --url/);
  });

  it('leaves the result open if it depends on a client certificate', async () => {
    const explained = await explainJson(await issuer.issue({ cnf: { 'x5t#S256': 'thumbprint' } }));
    expect(explained.status).toBe(2);
    expect(checkOf(explained, 'client certificate')?.state).toBe('not reached');
  });
});

describe('wrong usage has exit status 2, a message and nothing on standard output:', () => {
  const SOME = ['--issuer', 'https://auth.example.com', '--audience', 'api'];
  const TOKEN = 'eyJhbGciOiJub25lIn0.e30.c2lnbmF0dXJl';

  it.each<[string, string[], RegExp]>([
    ['the token as an argument', [...SOME, TOKEN], /never an argument, because process lists/],
    ['the token as an option', [...SOME, '--token', TOKEN], /on standard input, because process lists/],
    ['the token as an option with =', [...SOME, `--token=${TOKEN}`], /on standard input, because process lists/],
    ['no issuer', ['--audience', 'api'], /Pass --issuer/],
    ['no audience', ['--issuer', 'https://auth.example.com'], /Pass --audience/],
    ['an issuer without https', ['--issuer', 'auth.example.com', '--audience', 'api'], /Did you mean https:/],
    ['an unknown option', [...SOME, '--scopes', 'a'], /Unknown option '--scopes'\. Did you mean --scope\?/],
    ['scopes in one text', [...SOME, '--scope', 'a b'], /its own --scope/],
    ['an option without its value', [...SOME, '--scope'], /--scope/],
    ['a proof without a method', [...SOME, '--dpop', 'proof', '--url', 'https://a.example.com'], /Pass --method/],
    ['a proof without a URL', [...SOME, '--dpop', 'proof', '--method', 'GET'], /Pass --url/],
    ['a relative URL', [...SOME, '--dpop', 'proof', '--method', 'GET', '--url', '/orders'], /absolute URL/],
    ['a method without a proof', [...SOME, '--method', 'GET'], /only for --dpop/],
    ['no token', SOME, /Standard input is empty/],
  ])('%s', async (_, args, message) => {
    const { status, stdout, stderr } = await runCommand(['explain', ...args]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain(TOKEN);
  });

  it.each([
    ['in quotes', `"${TOKEN}"`],
    ['in JSON', JSON.stringify({ access_token: TOKEN })],
    ['with another one', `${TOKEN}\n${TOKEN}`],
  ])('the token %s', async (_, input) => {
    const { status, stdout, stderr } = await runCommand(['explain', ...SOME], { input });
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('Pass only one token');
    expect(stderr).not.toContain(TOKEN);
  });

  it('a command that is misspelled, and help about a command', async () => {
    expect((await runCommand(['explian'])).stderr).toContain('Did you mean explain?');
    expect((await runCommand(['help', 'doctor'])).stdout).toContain('doctor --issuer <issuer>');
  });

  it('too much on standard input', async () => {
    const { status, stderr } = await runCommand(['explain', ...SOME], { input: 'x'.repeat(2_000_000) });
    expect(status).toBe(2);
    expect(stderr).toContain('more than 1048576 bytes');
  });
});

describe('the output of explain', () => {
  const EVIL = 'a\u0000\u0007\u001b[31m\r\n\u007f\u0085\u009b\u2028\u2029b';
  // eslint-disable-next-line no-control-regex -- these are the characters
  const CONTROLS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/;

  it.each([[[]], [['--json']]])('contains no control character of the token %j', async (args) => {
    const token = await issuer.issue({ [EVIL]: EVIL, aud: EVIL, scope: EVIL }, { header: { evil: EVIL, kid: EVIL } });
    const { status, stdout } = await explain(token, '--scope', 'x', ...args);
    expect(status).toBe(1);
    expect(stdout).not.toMatch(CONTROLS);
    expect(stdout).not.toContain('[31m\n');
    expect(stdout).toContain('\\u009b');
  });

  it('contains no control character of an argument', async () => {
    const { stderr } = await runCommand([
      'explain',
      '--issuer',
      `https://${EVIL}`.replaceAll('\0', ''),
      '--audience',
      'a',
    ]);
    expect(stderr).not.toMatch(CONTROLS);
  });

  it('contains no color in a pipe', async () => {
    expect((await explain(await issuer.issue())).stdout).not.toContain('\u001b');
  });

  // `script` runs a command on a terminal; its arguments differ between Linux and other systems.
  const onTerminal = (command: string): string[] =>
    process.platform === 'linux' ? ['-qec', command, '/dev/null'] : ['-q', '/dev/null', 'sh', '-c', command];
  it.each([
    [{ TERM: 'xterm-256color' }, true],
    [{ TERM: 'xterm-256color', NO_COLOR: '1' }, false],
    [{ TERM: 'dumb' }, false],
  ])('contains color on a terminal, unless %j disables it', async (env, hasColor) => {
    const token = await issuer.issue();
    const inherited = {
      ...process.env,
      NO_COLOR: undefined,
      FORCE_COLOR: undefined,
      COLORTERM: undefined,
      CI: undefined,
    };
    const args = ['explain', '--issuer', issuer.url, '--audience', issuer.audience];
    const command = [process.execPath, MAIN, ...args].map((each) => `'${each}'`).join(' ');
    const piped = `printf %s '${token}' | ${command}`;
    const { stdout } = await runProcess('script', onTerminal(piped), { env: { ...inherited, ...env } });
    expect(stdout).toContain('The token is accepted.');
    expect(stdout.includes('\u001b[32m')).toBe(hasColor);
  });
});

describe('help', () => {
  it.each([
    [['--help'], /doctor .*\n.*explain/],
    [['explain', '--help'], /Usage: npx express-resource-server explain/],
    [['doctor', '--help'], /Usage: npx express-resource-server doctor/],
  ])('is printed for %j, with examples', async (args, text) => {
    const { status, stdout } = await runCommand(args);
    expect(status).toBe(0);
    expect(stdout).toMatch(text);
    expect(stdout).toMatch(/Examples:\n {2}npx/);
    expect(stdout).toMatch(/Exit status: 0 /);
  });

  it.each([[[]], [['unknown']]])('is printed after the error for the wrong command %j', async (args) => {
    const { status, stdout, stderr } = await runCommand(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/Usage: npx express-resource-server <command>/);
  });

  it('includes the version with --version', async () => {
    expect((await runCommand(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+/);
  });
});
