import express, { type Express, type Router } from 'express';
import { getAuth, jwtBearer, requireClient, requireMachine, requireScopes } from 'express-resource-server';
import { createPaymentsApi } from './payments-api.js';

export interface ApiOptions {
  /** Whose access tokens are accepted. */
  readonly issuer: string;
  /** This API's identifier, as the issuer writes it into `aud`. */
  readonly audience: string;
  /** The clients that may call `/internal/jobs`. */
  readonly machineClients: readonly string[];
  /** What is served under `/partner`, with tokens and a middleware of its own. */
  readonly partner?: Router | undefined;
}

interface Order {
  readonly id: number;
  readonly item: string;
  readonly orderedBy: string | undefined;
}

/** The orders API, and the payments and partner APIs beside it, each with a middleware of its own. */
export function createApi({ issuer, audience, machineClients, partner }: ApiOptions): Express {
  const orders: Order[] = [{ id: 1, item: 'tea', orderedBy: 'the-shop' }];
  const api = express();
  api.disable('x-powered-by');

  api.get('/health', (_req, res) => {
    res.json({ status: 'ok' });
  });

  api.use('/payments', createPaymentsApi({ issuer, audience }));
  if (partner !== undefined) api.use('/partner', partner);

  // Nothing below this line is reached without a valid access token, not even by a route that forgets its gate.
  api.use(jwtBearer({ issuer, audience, realm: 'orders' }));

  api.get('/orders', requireScopes('orders:read'), (_req, res) => {
    res.json({ orders });
  });

  // The gate comes before the body is read, so that nobody else can make the API parse anything.
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
    res.json({ jobs: [], askedBy: getAuth(req).clientId });
  });

  return api;
}

function readItem(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !('item' in body)) return undefined;
  return typeof body.item === 'string' && body.item !== '' ? body.item : undefined;
}
