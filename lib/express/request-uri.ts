import type { IncomingMessage } from 'node:http';
import type { Request } from 'express';
import { readField } from '../token/header-fields.js';

// A registered name, an IPv4 or a bracketed IPv6 address, and a port (RFC 9110 §7.2). Whatever else a URL parser would
// take, with a user or a path in it, is none.
const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;
const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?:\/|$)/i;
const ABSOLUTE_FORM = /^https?:\/\/([^/?]*)(.*)$/is;

/**
 * The URI that the caller used, without query: `baseUrl` and the path where that is configured, else what Express sees
 * through its setting `trust proxy`. `undefined` where it cannot be told.
 */
export function requestUri(req: IncomingMessage, baseUrl: string | undefined): string | undefined {
  // Every request that Express hands to a middleware is an Express request.
  const request = req as Request;
  const target = readTarget(request.originalUrl);
  if (target === undefined) return undefined;
  const origin = baseUrl ?? originOf(request, target.host);
  return origin === undefined ? undefined : `${origin}${target.path}`;
}

interface Target {
  /** Only in absolute form. */
  readonly host: string | undefined;
  /** Without query. */
  readonly path: string;
}

/**
 * Reads a request target in origin or absolute form (RFC 9112 §3.2). `undefined` for what routers may read in another way
 * than this: one with a fragment, which no target has; one with dot segments, which clients remove and Express does not;
 * one with a host that is none.
 */
function readTarget(target: string): Target | undefined {
  if (target.includes('#')) return undefined;
  const [, host, rest = target] = ABSOLUTE_FORM.exec(target) ?? [];
  if (host !== undefined && !HOST.test(host)) return undefined;
  const path = rest.replace(/\?.*$/s, '') || '/';
  return path.startsWith('/') && !DOT_SEGMENT.test(path) ? { host, path } : undefined;
}

function originOf(req: Request, targetHost: string | undefined): string | undefined {
  const host = hostOf(req, targetHost);
  // Express takes any word for a protocol that a trusted proxy says.
  if (host === undefined || !HOST.test(host) || !/^https?$/.test(req.protocol)) return undefined;
  return `${req.protocol}://${host}`;
}

// `req.host` has no port in Express 4.
function hostOf(req: Request, targetHost: string | undefined): string | undefined {
  const isTrusted = req.app.get('trust proxy fn') as (address: string | undefined, hop: number) => boolean;
  const forwarded = isTrusted(req.socket.remoteAddress, 0) ? req.get('x-forwarded-host') : undefined;
  // The first was added by the proxy that is closest to the caller.
  if (forwarded !== undefined) return forwarded.split(',', 1)[0]?.trim();
  // RFC 9112 §3.2.2: then the Host field is to be ignored.
  if (targetHost !== undefined) return targetHost;
  const field = readField(req, 'host');
  // RFC 9112 §3.2: a request with several is no request.
  return field === 'several' ? undefined : field?.value;
}
