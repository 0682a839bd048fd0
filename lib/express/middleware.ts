import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * The shape of every middleware here. It names Node's types instead of Express's, so that it fits the handlers of
 * Express 4 and 5 alike and leaves the inference of `req.params` on a route to the route.
 */
export type Middleware = (req: IncomingMessage, res: ServerResponse, next: Next) => void;

export type Next = (error?: unknown) => void;
