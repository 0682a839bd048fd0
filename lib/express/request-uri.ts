import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { Request } from 'express';
import { readField } from '../token/header-fields.js';

// A registered name, an IPv4 address or an IPv6 address in brackets, and a port (RFC 9110 §7.2). URL parsers also accept
// other texts, for example with a user or a path.
const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;
const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?:\/|$)/i;
const ABSOLUTE_FORM = /^https?:\/\/([^/?]*)(.*)$/is;

/** A request of Express, or of another framework on `node:http`: that one has none of the members of Express. */
type AnyRequest = IncomingMessage & Partial<Pick<Request, 'originalUrl' | 'app' | 'protocol'>>;

/**
 * The URI that the caller used, without query: `baseUrl` and the path, or, without `baseUrl`, protocol and host as Express
 * determines them with its setting `trust proxy`. A request without Express trusts no proxy. `undefined` if the URI cannot
 * be determined.
 */
export function requestUri(req: IncomingMessage, baseUrl: string | undefined): string | undefined {
  const request: AnyRequest = req;
  // Frameworks that mount handlers below a path change `url` and keep the original.
  const target = readTarget(request.originalUrl ?? request.url ?? '');
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
 * Reads a request target in origin or absolute form (RFC 9112 §3.2). `undefined` for a target that a router may read
 * differently: with a fragment, which no target has; with dot segments, which clients remove and Express does not; with an
 * invalid host.
 */
function readTarget(target: string): Target | undefined {
  if (target.includes('#')) return undefined;
  const [, host, rest = target] = ABSOLUTE_FORM.exec(target) ?? [];
  if (host !== undefined && !HOST.test(host)) return undefined;
  const path = rest.replace(/\?.*$/s, '') || '/';
  return path.startsWith('/') && !DOT_SEGMENT.test(path) ? { host, path } : undefined;
}

function originOf(req: AnyRequest, targetHost: string | undefined): string | undefined {
  const host = hostOf(req, targetHost);
  const protocol = req.protocol ?? ((req.socket as Partial<TLSSocket>).encrypted === true ? 'https' : 'http');
  // Express accepts any text as the protocol from a trusted proxy.
  if (host === undefined || !HOST.test(host) || !/^https?$/.test(protocol)) return undefined;
  return `${protocol}://${host}`;
}

// `req.host` has no port in Express 4.
function hostOf(req: AnyRequest, targetHost: string | undefined): string | undefined {
  const forwarded = isFromTrustedProxy(req) ? req.headers['x-forwarded-host'] : undefined;
  // The first value was added by the proxy that is closest to the caller.
  if (forwarded !== undefined) return [forwarded].flat()[0]?.split(',', 1)[0]?.trim();
  // RFC 9112 §3.2.2: the Host field must be ignored if the target has a host.
  if (targetHost !== undefined) return targetHost;
  // RFC 9113 §8.3.1: an HTTP/2 request has an authority, and its Host field must be ignored then.
  const field = readField(req, ':authority') ?? readField(req, 'host');
  // RFC 9112 §3.2: a request with several Host fields is invalid.
  return field === 'several' ? undefined : field?.value;
}

function isFromTrustedProxy({ app, socket }: AnyRequest): boolean {
  // The `app` of another framework may have no such function.
  const read: unknown = app?.get;
  if (app === undefined || typeof read !== 'function') return false;
  const isTrusted = app.get('trust proxy fn') as ((address: string | undefined, hop: number) => unknown) | undefined;
  return typeof isTrusted === 'function' && isTrusted(socket.remoteAddress, 0) === true;
}
