import { readOptions } from '../options.js';
import { escapeControls } from '../util/escape.js';
import { checkIssuerUrl, issuerRule } from '../verify/shared-options.js';
import { hasFailed, unreached } from './check.js';
import { checkConnection, checkDns } from './connection.js';
import { checkClock, checkMetadata, checkSenderConstraint, Observer, SEE_METADATA } from './documents.js';
import { checkIntrospection, type Credentials, secretMethod } from './introspection.js';
import { type CommandIo, type ExitStatus, readInput } from './io.js';
import { checkKeys } from './keys.js';
import { type Paint, paintFor, renderChecks, type ReportedCheck, toJson } from './report.js';
import { asUsage, parseOptions, required, UsageError } from './usage.js';

const OPTIONS = {
  issuer: { type: 'string' },
  'client-id': { type: 'string' },
  'client-secret-stdin': { type: 'boolean' },
  timeout: { type: 'string' },
  'allow-insecure-http': { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

interface Settings {
  readonly issuer: string;
  readonly allowInsecureHttp: boolean;
  /** Seconds. */
  readonly timeout: number;
  readonly credentials: Credentials | undefined;
}

interface Diagnosis {
  readonly checks: readonly ReportedCheck[];
  /** The lines to copy; `undefined` if a check failed. */
  readonly configuration: string | undefined;
}

/** Checks an authorization server as the package sees it. */
export async function doctor(args: string[], io: CommandIo): Promise<ExitStatus> {
  const values = parseOptions(args, OPTIONS, 'Pass the issuer with --issuer; there are no other arguments.');
  const issuer = required(values.issuer, 'issuer', 'the issuer exactly as in the claim iss of its tokens');
  const allowInsecureHttp = values['allow-insecure-http'] ?? false;
  asUsage(() => {
    readOptions<{ issuer: string }>('doctor', { issuer }, { issuer: issuerRule });
    checkIssuerUrl('doctor', issuer, true, allowInsecureHttp);
  });
  const timeout = readTimeout(values.timeout);
  const credentials = await readCredentials(values['client-id'], values['client-secret-stdin'] ?? false, io);
  const diagnosis = await examine({ issuer, allowInsecureHttp, timeout, credentials });
  const isJson = values.json === true;
  io.stdout.write(isJson ? jsonOf(issuer, diagnosis) : textOf(diagnosis, paintFor(io.stdout)));
  return diagnosis.configuration === undefined ? 1 : 0;
}

function readTimeout(text = '5'): number {
  const timeout = Number(text);
  if (timeout >= 1 && timeout <= 60) return timeout;
  throw new UsageError('--timeout must be a number of seconds from 1 to 60.');
}

async function readCredentials(
  clientId: string | undefined,
  hasSecret: boolean,
  io: CommandIo,
): Promise<Credentials | undefined> {
  if (clientId === undefined) {
    if (hasSecret) throw new UsageError('Pass --client-id, the id of this API at the authorization server.');
    return undefined;
  }
  if (!hasSecret) throw new UsageError('Pass --client-secret-stdin, and the secret on standard input.');
  const clientSecret = await readInput(io, 'the client secret');
  if (clientSecret === '') throw new UsageError('Standard input is empty. Pass the client secret.');
  return { clientId, clientSecret };
}

async function examine(settings: Settings): Promise<Diagnosis> {
  const { issuer, allowInsecureHttp, timeout, credentials } = settings;
  const observer = new Observer(timeout);
  const { http } = observer;
  const url = new URL(issuer);
  const rest = ['metadata', 'JWKS', 'clock', 'introspection endpoint', 'DPoP', 'mutual TLS'];
  const stopped = (checks: readonly ReportedCheck[], names: readonly string[]): Diagnosis => ({
    checks: [...checks, ...names.map((name) => unreached(name))],
    configuration: undefined,
  });

  const dns = await checkDns(url);
  if (hasFailed([dns])) return stopped([dns], ['connection', ...rest]);
  const reached = [dns, ...(await checkConnection(url, timeout))];
  if (hasFailed(reached)) return stopped(reached, rest);
  const { checks: metadataChecks, metadata, raw } = await checkMetadata(issuer, allowInsecureHttp, http);
  const found = [...reached, ...metadataChecks];
  if (metadata === undefined) {
    return stopped(
      [...found, checkClock(observer.clockDifference)],
      rest.filter((name) => !/^(metadata|clock)$/.test(name)),
    );
  }
  const checks = [
    ...found,
    ...(await checkKeys(metadata.jwks_uri, raw, http)),
    checkClock(observer.clockDifference),
    ...(await checkIntrospection(metadata.introspection_endpoint, raw, credentials, http)),
    ...checkSenderConstraint(raw),
  ];
  return { checks, configuration: hasFailed(checks) ? undefined : configurationFor(settings, raw) };
}

function configurationFor(
  { issuer, allowInsecureHttp, credentials }: Settings,
  raw: Readonly<Record<string, unknown>>,
): string {
  const name = credentials === undefined ? 'jwtBearer' : 'introspectionBearer';
  const isPost = secretMethod(raw) === 'client_secret_post';
  const options = [
    `issuer: ${literal(issuer)},`,
    ...(credentials === undefined
      ? []
      : [`clientId: ${literal(credentials.clientId)},`, 'clientSecret: process.env.CLIENT_SECRET,']),
    ...(credentials !== undefined && isPost ? ["clientAuthentication: 'client_secret_post',"] : []),
    "audience: 'https://api.example.com', // the identifier of your API in the claim aud",
    ...(allowInsecureHttp ? ['allowInsecureHttp: true,'] : []),
  ];
  const lines = options.map((line) => `    ${line}\n`).join('');
  return `import { ${name} } from 'express-resource-server';\n\napp.use(\n  ${name}({\n${lines}  }),\n);\n`;
}

function literal(text: string): string {
  return escapeControls(JSON.stringify(text));
}

function jsonOf(issuer: string, { checks, configuration }: Diagnosis): string {
  const healthy = configuration !== undefined;
  return `${toJson({ issuer, healthy, checks, configuration: configuration ?? null })}\n`;
}

function textOf({ checks, configuration }: Diagnosis, paint: Paint): string {
  const table = renderChecks(checks, paint);
  if (configuration !== undefined) return `${table}\n${paint('bold', 'Configuration')}\n\n${configuration}`;
  // A check that refers to another one has no fix of its own.
  const first = checks.find(({ state, fix }) => state === 'failed' && fix !== SEE_METADATA);
  const cause = escapeControls(`${first?.name ?? ''}. ${first?.fix ?? ''}`);
  return `${table}\n${paint('red', `The issuer cannot be used: ${cause}`)}\n`;
}
