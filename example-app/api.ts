import express, { type Express, type Router } from 'express';
import { getAuth, jwtBearer, requireClient, requireMachine, requireScopes } from 'express-resource-server';
import { createPaymentsApi } from './payments-api.js';

export interface ApiOptions {
  /** The issuer of the accepted access tokens. */
  readonly issuer: string;
  /** The identifier of this API in `aud`. */
  readonly audience: string;
  /** The clients that may call `/internal/jobs`. */
  readonly machineClients: readonly string[];
  /** The partner API, which has its own tokens and middleware; served under `/partner`. */
  readonly partner?: Router | undefined;
  /** The MCP server, which has its own tokens and middleware; served under `/mcp`. */
  readonly mcp?: Router | undefined;
}

interface Order {
  readonly id: number;
  readonly item: string;
  readonly orderedBy: string | undefined;
}

/** The orders API, with the payments and partner APIs and the MCP server. Each has its own middleware. */
export function createApi({ issuer, audience, machineClients, partner, mcp }: ApiOptions): Express {
  const orders: Order[] = [{ id: 1, item: 'tea', orderedBy: 'the-shop' }];
  const api = express();
  api.disable('x-powered-by');

  api.get('/health', (_req, res) => {
    res.json({ status: 'ok' });
  });

  api.use('/payments', createPaymentsApi({ issuer, audience }));
  if (partner !== undefined) api.use('/partner', partner);
  if (mcp !== undefined) api.use(mcp);

  // Every route below needs a valid access token, even a route without a gate.
  api.use(jwtBearer({ issuer, audience, realm: 'orders' }));

  api.get('/orders', requireScopes('orders:read'), (_req, res) => {
    res.json({ orders });
  });

  // The gate comes before the body parser, so the API does not parse the bodies of rejected requests.
  api.post('/orders', requireScopes('orders:write'), express.json(), (req, res) => {
    const item = readItem(req.body);
    if (item === undefined) {
      res.status(400).json({ error: 'An order is an object with an item, such as { "item": "coffee" }.' });
      return;
    }
    const order: Order = { id: orders.length + 1, item, orderedBy: getAuth(req).clientId };
    orders.push(order);
    res.status(201).json(order);
  });

  api.get('/internal/jobs', requireMachine(), requireClient(...machineClients), (req, res) => {
    res.json({ jobs: [], client: getAuth(req).clientId });
  });

  return api;
}

function readItem(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !('item' in body)) return undefined;
  return typeof body.item === 'string' && body.item !== '' ? body.item : undefined;
}
