import { randomBytes } from 'node:crypto';
import { TestIssuer } from '../testing/issuer.js';
import type { CommandIo, ExitStatus } from './io.js';
import { tokenEndpoint } from './token-endpoint.js';
import { parseOptions, UsageError } from './usage.js';

/** The command `issuer`: it prints how to get a token, and the server runs until the process ends. */
export async function issuer(args: string[], io: CommandIo): Promise<ExitStatus> {
  const { text } = await startIssuer(args);
  io.stdout.write(text);
  return 0;
}

export interface DevelopmentIssuer {
  /** What to print: the issuer, the client, and the command that gets a token. */
  readonly text: string;
  readonly url: string;
  readonly audience: string;
  readonly clientId: string;
  readonly clientSecret: string;
  close(): Promise<void>;
}

/**
 * Starts the development issuer.
 *
 * @throws UsageError for wrong arguments, and for an address other than loopback.
 */
export async function startIssuer(args: string[]): Promise<DevelopmentIssuer> {
  const { port, scopes, audience, opaque: isOpaque } = readArguments(args);
  const clientId = 'client-1';
  const clientSecret = randomBytes(16).toString('hex');
  const issuer = await listen(port, audience);
  const token = `http://127.0.0.1:${new URL(issuer.url).port}/token`;
  Object.assign(issuer.metadata, {
    token_endpoint: token,
    grant_types_supported: ['client_credentials'],
    response_types_supported: [],
    scopes_supported: scopes,
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
  });
  issuer.introspection.client = { id: clientId, secret: clientSecret };
  issuer.other = tokenEndpoint(issuer, { clientId, clientSecret, scopes, isOpaque });
  const curl = `curl -s -u ${clientId}:${clientSecret}`;
  const grant = `-d grant_type=client_credentials ${token}`;
  const text = `issuer         ${issuer.url}
audience       ${audience}
client id      ${clientId}
client secret  ${clientSecret}
scopes         ${scopes.join(' ')}

Get a token:

  ${curl} ${grant}

Call an API with a token, such as that of the quick start:

  curl -i -H "Authorization: Bearer $(${curl} -H Accept:text/plain ${grant})" http://localhost:3000/api/orders

For development only. Press Ctrl+C to stop.
`;
  return { text, url: issuer.url, audience, clientId, clientSecret, close: () => issuer.close() };
}

function readArguments(args: string[]) {
  const options = {
    port: { type: 'string', default: '4444' },
    scopes: { type: 'string', default: 'orders:read orders:write' },
    audience: { type: 'string', default: 'https://api.example.com' },
    host: { type: 'string', default: '127.0.0.1' },
    opaque: { type: 'boolean', default: false },
  } as const;
  const { port, scopes, host, audience, opaque } = parseOptions(
    args,
    options,
    'There is an argument that is not an option.',
  );
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw new UsageError('--port must be a number from 0 to 65535');
  if (!['127.0.0.1', 'localhost'].includes(host)) {
    throw new UsageError(`--host ${host}: this issuer is for development and listens on loopback only (127.0.0.1)`);
  }
  const names = scopes.split(/[ ,]+/).filter((scope) => scope !== '');
  // RFC 6749 §3.3.
  if (!names.every((name) => /^[\x21\x23-\x5B\x5D-\x7E]+$/.test(name))) {
    throw new UsageError('--scopes contains a character that a scope must not contain');
  }
  return { port: Number(port), scopes: names, audience, opaque };
}

async function listen(port: number, audience: string): Promise<TestIssuer> {
  try {
    return await TestIssuer.start({ port, audience });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
      throw new UsageError(`port ${port} is in use. Choose another one with --port.`);
    }
    throw error;
  }
}
