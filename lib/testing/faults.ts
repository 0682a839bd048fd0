import type { ServerResponse } from 'node:http';

/** A way in which a server can fail to send a document. A function writes any other response. */
export type Fault =
  | 'error'
  | 'hang'
  | 'drip'
  | 'truncated'
  | 'html'
  | 'huge'
  | 'redirect'
  | 'missing'
  | 'hangup'
  | ((res: ServerResponse, url: string) => void);

export function respondWithFault(fault: Fault, res: ServerResponse, url: string, content: unknown): void {
  if (typeof fault === 'function') fault(res, url);
  else FAULTS[fault](res, JSON.stringify(content));
}

const FAULTS: Readonly<
  Record<Exclude<Fault, (...args: never[]) => void>, (res: ServerResponse, json: string) => void>
> = {
  error: (res) => res.writeHead(500, { 'Content-Type': 'application/json' }).end('{"error":"server_error"}'),
  hang: () => undefined,
  // Sends the first byte and then nothing, as a very slow server does.
  drip: (res, json) => res.writeHead(200, { 'Content-Type': 'application/json' }).write(json.slice(0, 1)),
  truncated: (res, json) => res.writeHead(200, { 'Content-Type': 'application/json' }).end(json.slice(0, -2)),
  html: (res) => res.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><p>Sign in'),
  huge: (res) => res.writeHead(200, { 'Content-Type': 'application/json' }).end(`{"pad":"${'x'.repeat(10_000_000)}"}`),
  redirect: (res) => res.writeHead(302, { Location: 'https://elsewhere.example.com/jwks' }).end(),
  missing: (res) => res.writeHead(404).end(),
  hangup: (res) => res.socket?.destroy(),
};
