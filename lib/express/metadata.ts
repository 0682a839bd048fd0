import { hash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { signJwt } from '../token/private-key.js';
import {
  type MetadataDocument,
  type MetadataSettings,
  type MetadataSignature,
  type ProtectedResourceMetadataOptions,
  readMetadataOptions,
} from './metadata-options.js';
import type { Middleware, Next } from './middleware.js';
import { wellKnownUrl } from './resource-url.js';

/** What `protectedResourceMetadata` returns: a middleware, and the address of the document that it serves. */
export interface ProtectedResourceMetadata extends Middleware {
  /** The address of the document: the value of `resource_metadata` in challenges. */
  readonly url: string;
}

/**
 * Serves the metadata of a protected resource (RFC 9728) at the well-known address of exactly this resource, so that
 * clients find the authorization server by themselves. Mount it at the root of the application, before every middleware
 * that authenticates; other requests pass through. Mount one for each resource.
 *
 * @throws ConfigurationError for a resource with a fragment or with `http:` outside loopback, without an authorization
 * server, for `offline_access` among the scopes, or an option that is unknown or wrong.
 */
export function protectedResourceMetadata(
  options: ProtectedResourceMetadataOptions,
  ..._none: undefined[]
): ProtectedResourceMetadata {
  return createMetadata(options, 'protectedResourceMetadata');
}

/** The same for another function of the package; mistakes in the options name that function. */
export function createMetadata(options: ProtectedResourceMetadataOptions, where: string): ProtectedResourceMetadata {
  const settings = readMetadataOptions(options, where);
  const url = wellKnownUrl(settings.resource);
  const isOwnAddress = makeMatcher(url);
  const prepare = makePreparation(settings);
  const metadataMiddleware = (req: IncomingMessage, res: ServerResponse, next: Next): void => {
    if (!isOwnAddress(targetOf(req))) {
      next();
      return;
    }
    // The document is public, and clients run in browsers too.
    res.setHeader('Access-Control-Allow-Origin', '*');
    if (req.method === 'OPTIONS') sendPreflight(res);
    else if (req.method === 'GET' || req.method === 'HEAD') {
      prepare()
        .then((document) => {
          send(req, res, document);
        })
        .catch(next);
    } else sendMethodNotAllowed(res);
  };
  return Object.defineProperty(metadataMiddleware, 'url', { value: url.href, enumerable: true }) as Middleware & {
    readonly url: string;
  };
}

const METHODS = 'GET, HEAD, OPTIONS';

interface PreparedDocument {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

// The path where Express mounted the middleware is not part of `url`, so `originalUrl` decides.
function targetOf(req: IncomingMessage): string {
  const original: unknown = 'originalUrl' in req ? req.originalUrl : undefined;
  return typeof original === 'string' ? original : (req.url ?? '');
}

/** Matches a request target with the path of a URL exactly; with its query as well if the URL has one. */
function makeMatcher({ pathname, search }: URL): (target: string) => boolean {
  return (target) => {
    const path = target.startsWith('/') ? target : target.replace(/^https?:\/\/[^/?]*/i, '');
    if (path === `${pathname}${search}`) return true;
    return search === '' && path.startsWith(pathname) && path.charAt(pathname.length) === '?';
  };
}

function sendPreflight(res: ServerResponse): void {
  res.statusCode = 204;
  res.setHeader('Access-Control-Allow-Methods', METHODS);
  res.setHeader('Access-Control-Allow-Headers', '*, Authorization');
  res.setHeader('Access-Control-Max-Age', '86400');
  res.end();
}

function sendMethodNotAllowed(res: ServerResponse): void {
  res.statusCode = 405;
  res.setHeader('Allow', METHODS);
  res.end();
}

function send(req: IncomingMessage, res: ServerResponse, { body, headers }: PreparedDocument): void {
  for (const name in headers) res.setHeader(name, headers[name] ?? '');
  if (isCurrent(req.headers['if-none-match'], headers.ETag)) {
    res.statusCode = 304;
    res.end();
    return;
  }
  res.statusCode = 200;
  res.setHeader('Content-Type', 'application/json');
  res.setHeader('Content-Length', Buffer.byteLength(body));
  if (req.method === 'HEAD') res.end();
  else res.end(body);
}

// RFC 9110 §13.1.2: the comparison is weak.
function isCurrent(field: string | undefined, tag: string | undefined): boolean {
  if (field === undefined || tag === undefined) return false;
  return field.trim() === '*' || field.split(',').some((each) => each.trim().replace(/^W\//, '') === tag);
}

/** The document is prepared once. A failed signature is tried again at the next request. */
function makePreparation({ document, signature, maxAge }: MetadataSettings): () => Promise<PreparedDocument> {
  let prepared: Promise<PreparedDocument> | undefined;
  const prepare = async (): Promise<PreparedDocument> => {
    const signed = signature === undefined ? {} : { signed_metadata: await sign(document, signature) };
    const body = JSON.stringify({ ...document, ...signed });
    const headers = {
      'Cache-Control': maxAge === 0 ? 'no-cache' : `public, max-age=${maxAge}`,
      ETag: `"${hash('sha256', body, 'base64url')}"`,
    };
    return { body, headers };
  };
  return () => {
    if (prepared === undefined) {
      prepared = prepare();
      prepared.catch(() => {
        prepared = undefined;
      });
    }
    return prepared;
  };
}

// RFC 9728 §2.2: the members are claims, with `iss`.
async function sign(document: MetadataDocument, signature: MetadataSignature): Promise<string> {
  return signJwt({ ...document, iss: signature.issuer, iat: Math.floor(Date.now() / 1000) }, signature);
}
