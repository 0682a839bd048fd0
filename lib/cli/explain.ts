import type { IncomingMessage } from 'node:http';
import { InvalidDpopProofError, InvalidTokenError } from '../errors.js';
import { makeSenderConstraint } from '../proof/policy.js';
import type { AccessToken } from '../token/access-token.js';
import { type ExplainedCheck, type Explanation, failedCheckOf, notReached, toExplanation } from '../token/checks.js';
import { type Claims, readScopes, SCOPE_CLAIMS } from '../token/claims.js';
import { type Confirmation, readConfirmation } from '../token/confirmation.js';
import { fixFor } from '../token/fixes.js';
import { parseSegment } from '../token/parse-jwt.js';
import { isScope } from '../token/scope.js';
import { systemClock } from '../util/clock.js';
import { parseUrl } from '../util/url.js';
import { createJwtVerifier } from '../verify/jwt.js';
import { type CommandIo, type ExitStatus, readInput } from './io.js';
import { type Paint, paintFor, renderChecks, toJson } from './report.js';
import { asUsage, parseOptions, required, UsageError } from './usage.js';

const OPTIONS = {
  issuer: { type: 'string' },
  audience: { type: 'string', multiple: true },
  scope: { type: 'string', multiple: true },
  dpop: { type: 'string' },
  method: { type: 'string' },
  url: { type: 'string' },
  'jwks-uri': { type: 'string' },
  'allow-insecure-http': { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

const POSITIONAL =
  'A token is never an argument, because process lists show arguments. Pass it on standard input: explain … < token';

/** The request that a token is presented with, as far as a proof depends on it. */
interface ProofRequest {
  readonly proof: string;
  readonly method: string;
  /** Without query and fragment. */
  readonly uri: string;
}

/** What a token contains. Nothing of it is verified. */
interface TokenContent {
  readonly header: Claims | undefined;
  readonly claims: Claims | undefined;
}

/** Explains the token on standard input: every check of the verifier, and on request the proof and the scopes. */
export async function explain(args: string[], io: CommandIo): Promise<ExitStatus> {
  const values = parseOptions(args, OPTIONS, POSITIONAL);
  const issuer = required(values.issuer, 'issuer', 'the issuer exactly as in the claim iss of its tokens');
  const audience = values.audience ?? [];
  if (audience.length === 0) throw new UsageError('Pass --audience, the identifier of your API in the claim aud.');
  const scopes = values.scope ?? [];
  if (!scopes.every(isScope)) throw new UsageError('Pass each scope with its own --scope, without spaces and quotes.');
  const request = readProofRequest(values);
  const verifier = asUsage(() =>
    createJwtVerifier(
      { issuer, audience, jwksUri: values['jwks-uri'], allowInsecureHttp: values['allow-insecure-http'], cache: false },
      'explain',
    ),
  );
  try {
    const token = withoutScheme(await readInput(io, 'the token'));
    if (token === '') throw new UsageError('Standard input is empty. Pass the token: explain … < token');
    if (!/^[\x21-\x7e]+$/.test(token) || /["'{}]/.test(token)) {
      throw new UsageError('Pass only one token, without quotes, JSON and other text.');
    }
    const content = decode(token);
    const { checks } = await verifier.explain(token);
    const explanation = toExplanation([
      ...checks,
      ...(await explainBinding(token, content.claims, request)),
      ...explainScopes(content.claims, scopes),
    ]);
    io.stdout.write(
      values.json === true ? jsonOf(explanation, content) : textOf(explanation, content, paintFor(io.stdout)),
    );
    return statusOf(explanation);
  } finally {
    await verifier.close();
  }
}

function statusOf({ accepted }: Explanation): ExitStatus {
  if (accepted === undefined) return 2;
  return accepted ? 0 : 1;
}

function readProofRequest({
  dpop,
  method,
  url,
}: {
  dpop?: string | undefined;
  method?: string | undefined;
  url?: string | undefined;
}): ProofRequest | undefined {
  if (dpop === undefined) {
    if (method !== undefined || url !== undefined) throw new UsageError('--method and --url are only for --dpop.');
    return undefined;
  }
  const target = parseUrl(required(url, 'url', 'the URL of the request that the proof was made for'));
  if (target === undefined || !/^https?:$/.test(target.protocol)) {
    throw new UsageError('--url must be an absolute URL, such as https://api.example.com/orders.');
  }
  const uri = `${target.origin}${target.pathname}`;
  return {
    proof: dpop,
    method: required(method, 'method', 'such as GET, of the request that the proof was made for'),
    uri,
  };
}

/** People copy whole header fields. */
function withoutScheme(text: string): string {
  return text.replace(/^(?:authorization:\s*)?(?:bearer|dpop)\s+/i, '');
}

function decode(token: string): TokenContent {
  const segments = token.split('.', 4);
  if (segments.length !== 3) return { header: undefined, claims: undefined };
  const [header, claims] = segments.map((segment) => {
    try {
      return parseSegment(segment);
    } catch {
      return undefined;
    }
  });
  return { header, claims };
}

function explainScopes(claims: Claims | undefined, needed: readonly string[]): ExplainedCheck[] {
  if (needed.length === 0) return [];
  const name = 'scope';
  if (claims === undefined) return [notReached(name)];
  const found = readScopes(claims, SCOPE_CLAIMS);
  if (needed.every((scope) => found.includes(scope))) {
    return [{ name, state: 'passed', expected: needed, found, fix: undefined }];
  }
  const failed = { checked: name, expected: needed, found };
  return [{ name, state: 'failed', expected: needed, found, fix: fixFor('scope_missing', failed, contextOf(claims)) }];
}

function contextOf(claims: Claims): { claims: Claims; segments: number; now: number } {
  return { claims, segments: 3, now: systemClock() };
}

/** What the request must prove besides the token: nothing for a bearer token. */
async function explainBinding(
  token: string,
  claims: Claims | undefined,
  request: ProofRequest | undefined,
): Promise<ExplainedCheck[]> {
  if (claims === undefined) return request === undefined ? [] : [notReached('DPoP proof')];
  const confirmation = confirmationOf(claims);
  // The verifier reports a malformed binding.
  if (confirmation === undefined) return [];
  const { jkt, x5tS256 } = confirmation;
  const checks: ExplainedCheck[] = [];
  if (request !== undefined) checks.push(await explainProof(token, claims, jkt, request));
  else if (jkt !== undefined) {
    checks.push(
      notReached('DPoP proof', undefined, 'The token is bound to a DPoP key: pass --dpop, --method and --url.'),
    );
  }
  if (x5tS256 !== undefined) {
    const note =
      'The token is bound to a client certificate. This command cannot check the certificate of a connection.';
    checks.push(notReached('client certificate', undefined, note));
  }
  return checks;
}

function confirmationOf(claims: Claims): Confirmation | undefined {
  try {
    return readConfirmation(claims);
  } catch (error) {
    if (error instanceof InvalidTokenError) return undefined;
    throw error;
  }
}

async function explainProof(
  token: string,
  claims: Claims,
  jkt: string | undefined,
  { proof, method, uri }: ProofRequest,
): Promise<ExplainedCheck> {
  const name = 'DPoP proof';
  const constraint = makeSenderConstraint({
    where: 'explain',
    dpop: 'allowed',
    mtls: 'off',
    profile: undefined,
    clock: systemClock,
    uriOf: () => uri,
  });
  // What the check of a proof reads of a request.
  const request = { method, headers: { dpop: proof }, rawHeaders: ['DPoP', proof] } as unknown as IncomingMessage;
  const bound = { claims: jkt === undefined ? {} : { cnf: { jkt } } } as unknown as AccessToken;
  try {
    await constraint.prove(request, { scheme: 'DPoP', token }, bound);
    return { name, state: 'passed', expected: undefined, found: undefined, fix: undefined };
  } catch (error) {
    if (!(error instanceof InvalidDpopProofError) && !(error instanceof InvalidTokenError)) throw error;
    const failed = failedCheckOf(error);
    const fix = fixFor(error.reason, failed, contextOf(claims)) ?? error.message;
    return { name, state: 'failed', expected: failed?.expected, found: failed?.found ?? error.message, fix };
  }
}

function jsonOf({ accepted, checks }: Explanation, { header, claims }: TokenContent): string {
  // JSON has no `undefined`.
  return `${toJson({ accepted: accepted ?? null, checks, token: { header: header ?? null, claims: claims ?? null } })}\n`;
}

function textOf(explanation: Explanation, { header, claims }: TokenContent, paint: Paint): string {
  const parts = [renderChecks(explanation.checks, paint)];
  const isVerified = explanation.checks.some(({ name, state }) => name === 'signature' && state === 'passed');
  const title = (name: string): string => paint('bold', isVerified ? name : `${name} (not verified)`);
  if (header !== undefined) parts.push(`${title('Header')}\n${toJson(header)}\n`);
  if (claims !== undefined) parts.push(`${title('Claims')}\n${toJson(claims)}\n`, timesOf(claims));
  parts.push(`${resultOf(explanation, paint)}\n`);
  return parts.filter((part) => part !== '').join('\n');
}

function resultOf({ accepted, checks }: Explanation, paint: Paint): string {
  if (accepted === true) return paint('green', 'The token is accepted.');
  if (accepted === undefined) return paint('yellow', 'It cannot be determined whether the token is accepted.');
  const failed = checks.filter(({ state }) => state === 'failed').map(({ name }) => name);
  return paint('red', `The token is rejected: ${failed.join(', ')}.`);
}

function timesOf(claims: Claims): string {
  const lines = ['iat', 'nbf', 'exp'].flatMap((name) => {
    const value = claims[name];
    const date = new Date(typeof value === 'number' ? value * 1000 : NaN);
    return Number.isNaN(date.getTime()) ? [] : [`${name}  ${date.toISOString()}\n`];
  });
  return lines.join('');
}
