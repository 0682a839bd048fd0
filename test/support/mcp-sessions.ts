import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type Express, type Request, type RequestHandler } from 'express';
import { authSignal } from 'express-resource-server';

/** The transport of a session, of either version of the SDK. */
export interface SessionTransport {
  onclose?: (() => void) | undefined;
  handleRequest(req: IncomingMessage, res: ServerResponse, body?: unknown): Promise<void>;
}

export interface TransportOptions {
  sessionIdGenerator: () => string;
  onsessioninitialized: (id: string) => void;
}

/** Creates a server with a transport for a new session, and connects them. */
export type OpenSession = (options: TransportOptions) => Promise<SessionTransport>;

/** An application whose MCP server has stateful sessions (`Mcp-Session-Id`), behind these middlewares. */
export function serveSessions(openSession: OpenSession, ...middlewares: RequestHandler[]): Express {
  const sessions = new Map<string, SessionTransport>();
  const start = async (): Promise<SessionTransport> => {
    let id = '';
    const transport = await openSession({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (generated) => {
        id = generated;
        sessions.set(id, transport);
      },
    });
    const { onclose } = transport;
    transport.onclose = () => {
      sessions.delete(id);
      onclose?.();
    };
    return transport;
  };
  const handle = async (req: Request, res: ServerResponse): Promise<void> => {
    const id = req.get('Mcp-Session-Id');
    const known = id === undefined ? undefined : sessions.get(id);
    if (id !== undefined && known === undefined) {
      res.writeHead(404).end();
      return;
    }
    const transport = known ?? (await start());
    await transport.handleRequest(req, res, req.body);
  };
  const app = express();
  app.use(...middlewares, express.json());
  app.all(['/mcp', '/opaque/mcp'], (req, res, next) => {
    handle(req, res).catch(next);
  });
  return app;
}

/** Ends the response when the token of its request is no longer valid, as the documentation shows. */
export const endWithToken: RequestHandler = (req, res, next) => {
  const signal = authSignal(req);
  const end = (): void => {
    res.destroy();
  };
  if (signal.aborted) end();
  signal.addEventListener('abort', end, { once: true });
  res.on('close', () => {
    signal.removeEventListener('abort', end);
  });
  next();
};
