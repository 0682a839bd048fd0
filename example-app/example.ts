import type { RequestListener } from 'node:http';
import { createApi } from './api.js';
import { type ClientOptions, connectClient, revokeToken } from './client.js';
import { type Issuer, startIssuer } from './issuer.js';
import { type ExampleClients, makeClients, PARTNER_API } from './issuer-clients.js';
import { listen, type RunningServer } from './listen.js';
import { createPartnerApi } from './partner-api.js';
import { createMcpApi } from './mcp-api.js';
import type { McpWalkthrough } from './mcp-steps.js';
import { connectDpopClient } from './dpop-client.js';
import type { PartnerWalkthrough } from './partner-steps.js';
import type { PaymentsWalkthrough } from './payments-steps.js';
import type { Settings } from './settings.js';
import type { TokenCache } from './token-cache.js';
import type { Walkthrough } from './walkthrough.js';

/** The identifiers of the APIs at the embedded issuer. They are names, not addresses. */
export const AUDIENCE = 'https://orders.example.com';
export const PARTNER_AUDIENCE = 'https://partner.example.com';
export const OTHER_AUDIENCE = 'https://invoices.example.com';

const ORDERS = { scope: 'orders:read orders:write payments:read' };
const SHIPMENTS = { scope: 'shipments:read shipments:write', introspectedBy: PARTNER_API };

/** The running example: the embedded issuer, the API that trusts it, and the clients. */
export interface Example extends Walkthrough, PartnerWalkthrough, PaymentsWalkthrough, McpWalkthrough {
  readonly issuer: Issuer;
  readonly clients: ExampleClients;
  /** Connects another client, or one of these with other options. */
  connect(options: Omit<ClientOptions, 'issuer' | 'resource'> & { resource?: string }): Promise<TokenCache>;
  close(): Promise<void>;
}

type Ports = Pick<Settings, 'machineClients'> & Partial<Pick<Settings, 'apiPorts' | 'issuerPorts'>>;

export async function startExample({ machineClients, apiPorts = [0], issuerPorts = [0] }: Ports): Promise<Example> {
  const servers: RunningServer[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.close()));
  };
  try {
    const clients = await makeClients();
    let serveApi: RequestListener = (_req, res) => res.writeHead(503).end();
    const api = await listen((req, res) => {
      serveApi(req, res);
    }, apiPorts);
    servers.push(api);
    // The identifier of an MCP server is the URL at which its clients reach it.
    const mcp = `${api.url}/mcp`;
    const resources = {
      ...{ [AUDIENCE]: ORDERS, [OTHER_AUDIENCE]: ORDERS, [PARTNER_AUDIENCE]: SHIPMENTS },
      [mcp]: { scope: 'notes:read notes:write' },
    };
    const issuer = await startIssuer({ clients: clients.registrations, resources, ports: issuerPorts });
    servers.push(issuer);
    const partnerApi = createPartnerApi({ issuer: issuer.url, audience: PARTNER_AUDIENCE, ...clients.partnerApi });
    const orders = { issuer: issuer.url, audience: AUDIENCE, machineClients };
    serveApi = createApi({
      ...orders,
      partner: partnerApi.router,
      mcp: createMcpApi({ issuer: issuer.url, resource: mcp }),
    });

    const connect: Example['connect'] = (options) =>
      connectClient({ issuer: issuer.url, resource: AUDIENCE, ...options });
    const reader = await connect(clients.reader);
    const worker = await connect(clients.worker);
    const otherApiWorker = await connect({ ...clients.worker, resource: OTHER_AUDIENCE });
    const partner = await connect({ ...clients.partner, resource: PARTNER_AUDIENCE });
    const payer = await connectDpopClient({ issuer: issuer.url, resource: AUDIENCE, ...clients.payer });
    const revoke: Example['revoke'] = (token) => revokeToken({ issuer: issuer.url, ...clients.partner }, token);
    const { invalidate } = partnerApi;
    return {
      api: api.url,
      issuer,
      clients,
      connect,
      reader,
      worker,
      otherApiWorker,
      partner,
      payer,
      revoke,
      invalidate,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
