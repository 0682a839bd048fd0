import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type RequestListener } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type SigningKey, makeSigningKey } from '../../lib/testing/issuer.js';
import { makeCertificate } from '../support/certificates.js';
import { open, startIssuer } from '../support/helpers.js';
import { listenTls } from '../support/tls.js';
import { type CommandResult, runCommand } from './command.js';

interface Diagnosis {
  readonly status: number | null;
  readonly healthy: boolean;
  readonly checks: { name: string; state: string; expected?: unknown; found?: unknown; fix?: string }[];
  readonly configuration: string | null;
}

const doctor = (url: string, ...args: string[]): Promise<CommandResult> =>
  runCommand(['doctor', '--issuer', url, ...args]);

async function diagnose(url: string, args: string[] = [], input = '', env = process.env): Promise<Diagnosis> {
  const { status, stdout } = await runCommand(['doctor', '--issuer', url, '--json', ...args], { input, env });
  return { status, ...(JSON.parse(stdout) as Omit<Diagnosis, 'status'>) };
}

const checkOf = ({ checks }: Diagnosis, name: RegExp): Diagnosis['checks'][number] | undefined =>
  checks.find((check) => name.test(check.name));

const failuresOf = ({ checks }: Diagnosis): string[] =>
  checks.filter(({ state }) => state === 'failed').map(({ name }) => name);

describe('doctor', () => {
  it('reports no failure for a valid issuer, and prints the configuration to copy', async () => {
    const issuer = await startIssuer();
    const { status, stdout, stderr } = await doctor(issuer.url);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^passed {7}DNS/m);
    expect(stdout).toMatch(/^passed {7}connection/m);
    expect(stdout).toMatch(/^passed {7}metadata/m);
    expect(stdout).toMatch(new RegExp(`^passed {7}key ${issuer.key.kid}`, 'm'));
    expect(stdout).toMatch(/^passed {7}clock/m);
    expect(stdout).toContain("import { jwtBearer } from 'express-resource-server';");
    expect(stdout).toContain(`issuer: "${issuer.url}",`);
    expect(stdout).not.toContain('\u001b');
  });

  it('does not require the second well-known URL', async () => {
    const issuer = await startIssuer({ wellKnown: 'oauth-authorization-server', path: '/tenant' });
    const diagnosis = await diagnose(issuer.url);
    expect(diagnosis).toMatchObject({ status: 0, healthy: true });
    expect(checkOf(diagnosis, /openid-configuration/)?.state).toBe('not needed');
    expect(checkOf(diagnosis, /oauth-authorization-server/)?.state).toBe('passed');
  });

  it('shows for each key its type, size and algorithm, and why it is unusable', async () => {
    const issuer = await startIssuer();
    const rsa: SigningKey = await makeSigningKey('RS256');
    issuer.published.push(
      { ...rsa.publicJwk, kid: 'rsa' },
      { ...rsa.publicJwk, kid: 'nulls', use: null, alg: null, d: null, k: null, key_ops: ['sign', 'verify'] },
      { ...rsa.publicJwk, kid: 'enc', use: 'enc' },
      { ...rsa.publicJwk, kid: 'ops', use: undefined, key_ops: ['encrypt'] },
      { ...rsa.publicJwk, kid: 'misfit', alg: 'ES256' },
      { ...rsa.publicJwk, kid: 'text', key_ops: 'verify' },
      { kty: 'RSA', kid: 'short', n: Buffer.alloc(128, 255).toString('base64url'), e: 'AQAB' },
      { ...rsa.publicJwk, kid: 'private', d: 'secret-number' },
      { kty: 'oct', kid: 'symmetric', k: 'secret-bytes' },
      { kty: 'EC', kid: 'curve', crv: 'secp256k1', x: 'AA', y: 'AA' },
      { ...rsa.publicJwk, kid: 'oaep', alg: 'RSA-OAEP' },
      'no key',
    );
    const diagnosis = await diagnose(issuer.url);
    expect(diagnosis.status).toBe(0);
    expect(checkOf(diagnosis, /^key rsa/)).toMatchObject({
      state: 'passed',
      found: 'RSA 2048 bits, alg RS256, use sig',
    });
    expect(checkOf(diagnosis, /^key nulls/)).toMatchObject({
      state: 'passed',
      found: 'RSA 2048 bits, no alg, no use',
    });
    expect(checkOf(diagnosis, new RegExp(`^key ${issuer.key.kid}`))?.found).toBe('EC P-256, alg ES256, use sig');
    const reason = (kid: string): string => {
      const check = checkOf(diagnosis, new RegExp(`^key ${kid}`));
      return `${check?.state}: ${check?.fix}`;
    };
    // Many servers publish encryption keys in the same set.
    expect(reason('enc')).toMatch(/^not needed: .*use.*enc/);
    expect(reason('ops')).toMatch(/^not needed: .*key_ops/);
    expect(reason('oaep')).toMatch(/^not needed: .*RSA-OAEP/);
    expect(reason('misfit')).toMatch(/^warning: .*alg does not fit its type/);
    expect(reason('text')).toMatch(/^warning: .*key_ops/);
    expect(reason('short')).toMatch(/^warning: .*1024 bits.*2048/);
    expect(reason('private')).toMatch(/^warning: .*private/);
    expect(reason('symmetric')).toMatch(/^warning: .*symmetric/);
    expect(reason('curve')).toMatch(/^warning: .*secp256k1/);
    expect(reason('without')).toMatch(/^warning: .*JSON object/);
    expect(JSON.stringify(diagnosis)).not.toMatch(/secret-/);
  });

  it('fails if all keys are unusable', async () => {
    const issuer = await startIssuer();
    issuer.published = [{ ...issuer.key.publicJwk, use: 'enc' }];
    const diagnosis = await diagnose(issuer.url);
    expect(diagnosis).toMatchObject({ status: 1, healthy: false, configuration: null });
    expect(failuresOf(diagnosis)).toEqual(['JWKS']);
  });

  it('reads the cache headers', async () => {
    const issuer = await startIssuer();
    expect(checkOf(await diagnose(issuer.url), /^cache/)?.found).toBe(
      'no Cache-Control: keys are fresh for 600 seconds',
    );
    issuer.cacheControl = 'public, max-age=7';
    expect(checkOf(await diagnose(issuer.url), /^cache/)?.found).toBe('max-age=7: keys are fresh for 60 seconds');
  });

  it('reports the support for DPoP and mutual TLS', async () => {
    const issuer = await startIssuer();
    const before = await diagnose(issuer.url);
    expect(checkOf(before, /^DPoP/)?.state).toBe('not needed');
    Object.assign(issuer.metadata, {
      dpop_signing_alg_values_supported: ['ES256'],
      tls_client_certificate_bound_access_tokens: true,
    });
    const after = await diagnose(issuer.url);
    expect(checkOf(after, /^DPoP/)).toMatchObject({ state: 'passed', found: ['ES256'] });
    expect(checkOf(after, /^mutual TLS/)?.state).toBe('passed');
  });
});

describe('doctor reports', () => {
  it('a host name without an address', async () => {
    const diagnosis = await diagnose('https://auth.example.invalid');
    expect(diagnosis.status).toBe(1);
    expect(failuresOf(diagnosis)).toEqual(['DNS']);
    expect(checkOf(diagnosis, /^metadata/)?.state).toBe('not reached');
  });

  it('a server that is down', async () => {
    const issuer = await startIssuer();
    await issuer.close();
    const { status, stdout } = await doctor(issuer.url);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^failed {7}connection/m);
    expect(stdout).toContain('ECONNREFUSED');
    expect(stdout).toMatch(/The issuer cannot be used: connection/);
  });

  it('the fix of the check that failed first, at the end', async () => {
    const issuer = await startIssuer();
    issuer.fail('metadata', 'missing');
    const { stdout } = await doctor(issuer.url);
    expect(stdout).toMatch(/The issuer cannot be used: metadata\. There is no metadata of this issuer/);
  });

  it('a server that closes each connection immediately', async () => {
    const server = createServer();
    server.on('connection', (socket) => socket.destroy());
    const port = await open(server);
    const { status, stdout } = await doctor(`http://127.0.0.1:${port}`, '--timeout', '1');
    expect(status).toBe(1);
    expect(stdout).toMatch(/^failed {7}metadata/m);
  });

  it('an issuer that differs in a slash', async () => {
    const issuer = await startIssuer();
    const diagnosis = await diagnose(`${issuer.url}/`);
    expect(diagnosis.status).toBe(1);
    expect(checkOf(diagnosis, /^metadata/)).toMatchObject({
      state: 'failed',
      expected: `${issuer.url}/`,
      found: issuer.url,
      fix: expect.stringContaining('the trailing slash'),
    });
  });

  it('localhost instead of 127.0.0.1', async () => {
    const issuer = await startIssuer();
    const diagnosis = await diagnose(issuer.url.replace('127.0.0.1', 'localhost'));
    expect(checkOf(diagnosis, /^metadata/)?.fix).toContain('localhost');
  });

  it.each([
    ['html', /JSON/, /A login page or a proxy/],
    ['redirect', /redirects to another origin/, /Redirects are not followed/],
    ['error', /500/, /Open the address/],
    ['missing', /404/, /There is no metadata of this issuer/],
    ['hangup', /not reachable/, /the network and proxies/],
  ] as const)('metadata that are answered with %s', async (fault, text, fix) => {
    const issuer = await startIssuer();
    issuer.fail('metadata', fault);
    const diagnosis = await diagnose(issuer.url);
    expect(diagnosis.status).toBe(1);
    expect(failuresOf(diagnosis)).toContain('metadata');
    expect(String(checkOf(diagnosis, /openid-configuration/)?.found)).toMatch(text);
    expect(checkOf(diagnosis, /^metadata/)?.fix).toMatch(fix);
  });

  it('a server that does not respond in time', async () => {
    const issuer = await startIssuer();
    issuer.fail('metadata', 'hang');
    const diagnosis = await diagnose(issuer.url, ['--timeout', '1']);
    expect(String(checkOf(diagnosis, /openid-configuration/)?.found)).toMatch(/within 1 s/);
  });

  it('metadata without keys, and keys at a URL that is not allowed', async () => {
    const issuer = await startIssuer();
    issuer.metadata.jwks_uri = undefined;
    expect(checkOf(await diagnose(issuer.url), /^JWKS/)?.fix).toMatch(/no jwks_uri/);
    issuer.metadata.jwks_uri = 'http://elsewhere.example.com/jwks';
    expect(checkOf(await diagnose(issuer.url), /^JWKS/)?.fix).toMatch(/https:/);
  });

  it.each([
    ['missing', /404/],
    ['html', /JSON/],
  ] as const)('keys that are answered with %s', async (fault, text) => {
    const issuer = await startIssuer();
    issuer.fail('jwks', fault);
    const diagnosis = await diagnose(issuer.url);
    expect(failuresOf(diagnosis)).toEqual(['JWKS']);
    expect(String(checkOf(diagnosis, /^JWKS/)?.found)).toMatch(text);
  });

  it('a wrong clock', async () => {
    const issuer = await startIssuer();
    const date = new Date(Date.now() - 120_000).toUTCString();
    issuer.fail('jwks', (res) => {
      res
        .writeHead(200, { 'Content-Type': 'application/json', Date: date })
        .end(JSON.stringify({ keys: issuer.published }));
    });
    issuer.fail('metadata', (res) => {
      const metadata = { issuer: issuer.url, jwks_uri: issuer.jwksUri };
      res.writeHead(200, { 'Content-Type': 'application/json', Date: date }).end(JSON.stringify(metadata));
    });
    const diagnosis = await diagnose(issuer.url);
    expect(failuresOf(diagnosis)).toEqual(['clock']);
    expect(String(checkOf(diagnosis, /^clock/)?.found)).toMatch(/1(19|20|21) seconds/);
  });
});

describe('TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'doctor-'));
  const trusted = join(folder, 'ca.pem');
  const certificate = makeCertificate('localhost', { days: 5 });
  let key: SigningKey;

  beforeAll(async () => {
    writeFileSync(trusted, certificate.cert);
    key = await makeSigningKey();
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  async function serveTls(host: string): Promise<string> {
    let url = '';
    const listener: RequestListener = (req, res) => {
      res.setHeader('Content-Type', 'application/json');
      const isKeys = req.url === '/jwks';
      res.end(JSON.stringify(isKeys ? { keys: [key.publicJwk] } : { issuer: url, jwks_uri: `${url}/jwks` }));
    };
    url = `https://${host}:${await listenTls(listener, certificate)}`;
    return url;
  }

  it('with a certificate that is not trusted fails, and names NODE_EXTRA_CA_CERTS', async () => {
    const diagnosis = await diagnose(await serveTls('localhost'));
    expect(failuresOf(diagnosis)).toEqual(['TLS']);
    expect(checkOf(diagnosis, /^TLS/)).toMatchObject({
      found: expect.stringContaining('DEPTH_ZERO_SELF_SIGNED_CERT'),
      fix: expect.stringContaining('NODE_EXTRA_CA_CERTS'),
    });
  });

  it('with a trusted certificate passes, and warns before it expires', async () => {
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: trusted };
    const diagnosis = await diagnose(await serveTls('localhost'), [], '', env);
    expect(diagnosis.status).toBe(0);
    expect(checkOf(diagnosis, /^TLS/)).toMatchObject({
      state: 'warning',
      found: expect.stringMatching(/[45] days left/),
    });
  });

  it('with the certificate of another host fails', async () => {
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: trusted };
    const diagnosis = await diagnose(await serveTls('127.0.0.1'), [], '', env);
    expect(checkOf(diagnosis, /^TLS/)?.found).toContain('ERR_TLS_CERT_ALTNAME_INVALID');
  });
});

describe('introspection', () => {
  const credentials = ['--client-id', 'api', '--client-secret-stdin'];

  it('is not sent without credentials', async () => {
    const issuer = await startIssuer();
    const diagnosis = await diagnose(issuer.url);
    expect(checkOf(diagnosis, /^introspection/)?.found).toBe(issuer.introspectionEndpoint);
    expect(issuer.requests.introspection).toBe(0);
  });

  it('accepts the configured credentials, and explains what active: false can mean', async () => {
    const issuer = await startIssuer();
    issuer.introspection.client = { id: 'api', secret: 's3cr3t' };
    const { status, stdout } = await runCommand(['doctor', '--issuer', issuer.url, ...credentials], {
      input: 's3cr3t\n',
    });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^passed {7}credentials/m);
    expect(stdout).toMatch(/active: false to a client that may not introspect/);
    expect(stdout).toContain('introspectionBearer({');
    expect(stdout).toContain('clientId: "api",');
    expect(stdout).not.toContain('s3cr3t');
  });

  it('uses the method that the metadata names', async () => {
    const issuer = await startIssuer();
    issuer.metadata.introspection_endpoint_auth_methods_supported = ['client_secret_post'];
    issuer.introspection.client = { id: 'api', secret: 's3cr3t' };
    const diagnosis = await diagnose(issuer.url, credentials, 's3cr3t');
    expect(diagnosis.status).toBe(0);
    expect(diagnosis.configuration).toContain("clientAuthentication: 'client_secret_post',");
  });

  it('fails if the credentials are rejected', async () => {
    const issuer = await startIssuer();
    issuer.introspection.client = { id: 'api', secret: 's3cr3t' };
    const diagnosis = await diagnose(issuer.url, credentials, 'wrong-secret');
    expect(failuresOf(diagnosis)).toEqual(['credentials']);
    expect(String(checkOf(diagnosis, /^credentials/)?.found)).toMatch(/401/);
    expect(JSON.stringify(diagnosis)).not.toContain('wrong-secret');
  });

  it('fails if there is no endpoint', async () => {
    const issuer = await startIssuer();
    issuer.metadata.introspection_endpoint = undefined;
    expect(failuresOf(await diagnose(issuer.url, credentials, 's'))).toEqual(['introspection endpoint']);
  });

  it.each([
    ['missing', /404/],
    ['html', /JSON/],
  ] as const)('fails if the endpoint responds with %s', async (fault, text) => {
    const issuer = await startIssuer();
    issuer.fail('introspection', fault);
    const diagnosis = await diagnose(issuer.url, credentials, 's');
    expect(failuresOf(diagnosis)).toEqual(['introspection endpoint']);
    expect(String(checkOf(diagnosis, /^introspection/)?.found)).toMatch(text);
  });
});

describe('the output of doctor', () => {
  it.each([[[]], [['--json']]])('contains no control character of the server %j', async (args) => {
    const evil = 'a\u0000\u0007\u001b[31m\r\n\u007f\u0085\u009b\u2028\u2029b';
    const issuer = await startIssuer();
    issuer.published = [{ ...issuer.key.publicJwk, kid: evil, use: evil }, issuer.key.publicJwk];
    Object.assign(issuer.metadata, { dpop_signing_alg_values_supported: [evil], introspection_endpoint: evil });
    const { stdout } = await doctor(issuer.url, ...args);
    // eslint-disable-next-line no-control-regex -- these are the characters
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/);
    expect(stdout).toContain('\\u009b');
  });
});

describe('wrong usage has exit status 2:', () => {
  const SOME = ['--issuer', 'https://auth.example.com'];

  it.each<[string, string[], RegExp]>([
    ['no issuer', [], /Pass --issuer/],
    ['the issuer as an argument', ['https://auth.example.com'], /Pass the issuer with --issuer/],
    ['a bare host', ['--issuer', 'auth.example.com'], /Did you mean https:\/\/auth\.example\.com/],
    ['a discovery URL', ['--issuer', 'https://a.example.com/.well-known/openid-configuration'], /well-known/],
    ['http: outside loopback', ['--issuer', 'http://auth.example.com'], /https:/],
    ['a secret as an option', [...SOME, '--client-id', 'api', '--client-secret', 's3cr3t'], /on standard input/],
    ['a secret without a client id', [...SOME, '--client-secret-stdin'], /Pass --client-id/],
    ['a client id without a secret', [...SOME, '--client-id', 'api'], /Pass --client-secret-stdin/],
    ['an empty secret', [...SOME, '--client-id', 'api', '--client-secret-stdin'], /Standard input is empty/],
    ['a timeout that is not a number', [...SOME, '--timeout', 'soon'], /--timeout/],
  ])('%s', async (_, args, message) => {
    const { status, stdout, stderr } = await runCommand(['doctor', ...args]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('s3cr3t');
  });
});
