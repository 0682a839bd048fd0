import type { IncomingMessage } from 'node:http';
import type { Request } from 'express';
import { readField } from '../token/header-fields.js';

// A registered name, an IPv4 or a bracketed IPv6 address, and a port (RFC 9110 §7.2). Whatever else a URL parser would
// take, with a user or a path in it, is none.
const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;
const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?:\/|$)/i;

/**
 * The URI that the caller used, without query: `baseUrl` and the path where that is configured, else what Express sees
 * through its setting `trust proxy`. `undefined` where it cannot be told.
 */
export function requestUri(req: IncomingMessage, baseUrl: string | undefined): string | undefined {
  // Every request that Express hands to a middleware is an Express request.
  const request = req as Request;
  const path = pathOf(request.originalUrl);
  const origin = baseUrl ?? originOf(request);
  return path === undefined || origin === undefined ? undefined : `${origin}${path}`;
}

function pathOf(target: string): string | undefined {
  // RFC 9112 §3.2.2: a proxy's form of the target names the host as well, which must be the one of the Host field; that
  // one counts here.
  const path = target.replace(/^https?:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '');
  if (path === '') return '/';
  // Clients remove dot segments and Express does not: what is left of them would be routed to one place and compared as
  // another.
  return path.startsWith('/') && !DOT_SEGMENT.test(path) ? path : undefined;
}

function originOf(req: Request): string | undefined {
  const host = hostOf(req);
  // Express takes any word for a protocol that a trusted proxy says.
  if (host === undefined || !HOST.test(host) || !/^https?$/.test(req.protocol)) return undefined;
  return `${req.protocol}://${host}`;
}

// `req.host` has no port in Express 4.
function hostOf(req: Request): string | undefined {
  const isTrusted = req.app.get('trust proxy fn') as (address: string | undefined, hop: number) => boolean;
  const forwarded = isTrusted(req.socket.remoteAddress, 0) ? req.get('x-forwarded-host') : undefined;
  // The first was added by the proxy that is closest to the caller.
  if (forwarded !== undefined) return forwarded.split(',', 1)[0]?.trim();
  const field = readField(req, 'host');
  // RFC 9112 §3.2: a request with several is no request.
  return field === 'several' ? undefined : field?.value;
}
