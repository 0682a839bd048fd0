import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { credentialsOf } from '../testing/introspection.js';
import type { TestIssuer } from '../testing/issuer.js';

const MAX_BODY_BYTES = 65_536;
/** Seconds. */
const TOKEN_LIFETIME = 3600;

export interface TokenEndpointSettings {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scopes: readonly string[];
  readonly isOpaque: boolean;
}

/** An error response of RFC 6749 §5.2. */
class TokenError extends Error {
  readonly status: number;

  constructor(code: string, status = 400) {
    super(code);
    this.status = status;
  }
}

/** The token endpoint of a development issuer: the client-credentials grant (RFC 6749 §4.4), for one client. */
export function tokenEndpoint(issuer: TestIssuer, settings: TokenEndpointSettings) {
  return (req: IncomingMessage, res: ServerResponse): void => {
    if (req.url !== '/token') {
      sendJson(res, 404, { error: 'not_found' });
      return;
    }
    issueToken(req, issuer, settings).then(
      (body) => {
        // Only the token, for the command lines that use it.
        if (req.headers.accept === 'text/plain') sendText(res, String(body.access_token));
        else sendJson(res, 200, body);
      },
      (error: unknown) => {
        if (error instanceof TokenError) sendJson(res, error.status, { error: error.message });
        else res.destroy();
      },
    );
  };
}

function sendJson(res: ServerResponse, status: number, body: Record<string, unknown>): void {
  const headers: Record<string, string> = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' };
  if (status === 401) headers['WWW-Authenticate'] = 'Basic realm="development issuer"';
  res.writeHead(status, headers).end(`${JSON.stringify(body)}\n`);
}

function sendText(res: ServerResponse, text: string): void {
  res.writeHead(200, { 'Content-Type': 'text/plain', 'Cache-Control': 'no-store' }).end(`${text}\n`);
}

async function issueToken(
  req: IncomingMessage,
  issuer: TestIssuer,
  { clientId, clientSecret, scopes, isOpaque }: TokenEndpointSettings,
): Promise<Record<string, unknown>> {
  if (req.method !== 'POST') throw new TokenError('invalid_request', 405);
  const form = Object.fromEntries(new URLSearchParams(await readBody(req)));
  const { id, secret } = readCredentials(req, form);
  if (id !== clientId || !isEqual(secret, clientSecret)) throw new TokenError('invalid_client', 401);
  if (form.grant_type !== 'client_credentials') throw new TokenError('unsupported_grant_type');
  const requested = form.scope === undefined ? scopes : form.scope.split(' ').filter((scope) => scope !== '');
  if (!requested.every((scope) => scopes.includes(scope))) throw new TokenError('invalid_scope');
  const scope = requested.join(' ');
  const claims = { sub: clientId, client_id: clientId, scope, exp: issuer.now + TOKEN_LIFETIME };
  const token = isOpaque ? issuer.issueOpaque(claims) : await issuer.issue(claims);
  // The introspection endpoint also knows the JWTs.
  if (!isOpaque) issuer.issueOpaque(claims, token);
  return { access_token: token, token_type: 'Bearer', expires_in: TOKEN_LIFETIME, scope };
}

function readCredentials({ method = '', headers }: IncomingMessage, form: Record<string, string>) {
  try {
    return credentialsOf({ method, headers, form });
  } catch {
    // The user name or the password is not correctly encoded.
    throw new TokenError('invalid_client', 401);
  }
}

function isEqual(found: string, expected: string): boolean {
  const [a, b] = [Buffer.from(found), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

async function readBody(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new TokenError('invalid_request', 413);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
