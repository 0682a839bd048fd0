import type { IncomingMessage } from 'node:http';
import { ConfigurationError } from '../errors.js';
import { authenticationOf, notAuthenticated } from '../express/auth.js';
import { requireScopes } from '../express/gates.js';
import type { Middleware } from '../express/middleware.js';
import { isScope, scopeDoubt } from '../token/scope.js';
import { assertNotRequest, firstMistake, parseValue, type Rule, texts } from '../options.js';
import { isPlainObject } from '../util/is-plain-object.js';

/** For each tool, all scopes that it needs. */
export type ToolScopes = Readonly<Record<string, readonly string[]>>;

const scopeList = texts('', '', isScope);

const toolScopesRule: Rule<ToolScopes> = {
  expected: 'an object of names of tools, each with a non-empty array of scopes',
  fix: "Pass an object such as { write_file: ['files:write'] }.",
  doubt: (value) => (isPlainObject(value) ? firstMistake(Object.values(value).flat(), scopeDoubt) : undefined),
  parse: (value, path) => {
    if (!isPlainObject(value)) return undefined;
    const entries = Object.entries(value).map(([tool, scopes]) => [tool, scopeList.parse(scopes, path)] as const);
    const isComplete = entries.length > 0 && entries.every(([, scopes]) => scopes !== undefined);
    return isComplete ? (Object.fromEntries(entries) as ToolScopes) : undefined;
  },
};

/**
 * Requires scopes for each tool by its name, as a middleware between `express.json()` and the handler of the SDK: for
 * version 1 of the SDK, which has no option for it on a tool, and for tokens that are bound to a key, whose challenge the
 * SDK does not write. It rejects as `requireScopes` does. A batch needs the scopes of all its tools. Tools that are not
 * named need none.
 *
 * @throws ConfigurationError for a value that is not such an object.
 */
export function mcpToolScopes(scopes: ToolScopes, ..._none: undefined[]): Middleware {
  const where = 'mcpToolScopes';
  assertNotRequest(where, scopes);
  const table = new Map(Object.entries(parseValue(where, toolScopesRule, scopes)));
  return function mcpToolScopesMiddleware(req: IncomingMessage, res, next): void {
    if (req.method !== 'POST') {
      next();
      return;
    }
    if (authenticationOf(req) === undefined) {
      next(notAuthenticated(where, req));
      return;
    }
    const body: unknown = Reflect.get(req, 'body');
    const isParsed = typeof body === 'object' && body !== null;
    // Without the body, no tool is known, and each would be allowed. Express 4 has `{}` for a body that it did not parse.
    const problem = problemWithBody(req, isParsed);
    if (problem !== undefined || !isParsed) {
      next(problem ?? bodyMissing(where));
      return;
    }
    const messages: unknown[] = Array.isArray(body) ? body : [body];
    const [scope, ...more] = new Set(messages.flatMap((message) => table.get(calledTool(message) ?? '') ?? []));
    if (scope === undefined) next();
    else requireScopes(scope, ...more)(req, res, next);
  };
}

/** The name of the tool that a JSON-RPC message calls. */
function calledTool(message: unknown): string | undefined {
  if (!isPlainObject(message) || message.method !== 'tools/call' || !isPlainObject(message.params)) return undefined;
  return typeof message.params.name === 'string' ? message.params.name : undefined;
}

/** The mistake of a caller whose body `express.json()` does not parse, for the error handler of the application. */
function problemWithBody({ headers }: IncomingMessage, isParsed: boolean): Error | undefined {
  const isJson = /^application\/json\s*(?:;|$)/i.test(headers['content-type'] ?? '');
  if (isJson && isParsed) return undefined;
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  if (!hasBody) return Object.assign(new Error('The request has no body.'), { status: 400, expose: true });
  if (isJson) return undefined;
  return Object.assign(new Error('The body is not application/json.'), { status: 415, expose: true });
}

function bodyMissing(where: string): ConfigurationError {
  return new ConfigurationError({
    option: where,
    expected: 'a parsed JSON body in req.body',
    got: 'none',
    fix: 'Mount express.json() before it, and pass req.body to the handler of the SDK.',
  });
}
