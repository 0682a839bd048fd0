import { createApi } from './api.js';
import { type ClientOptions, connectClient } from './client.js';
import { startIssuer } from './issuer.js';
import { type ExampleClients, makeClients } from './issuer-clients.js';
import { listen, type Listening } from './listen.js';
import type { Settings } from './settings.js';
import type { TokenKeeper } from './token-keeper.js';
import type { Walkthrough } from './walkthrough.js';

/** The identifiers that the embedded issuer knows the APIs by: names, not addresses. */
export const AUDIENCE = 'https://orders.example.com';
export const OTHER_AUDIENCE = 'https://invoices.example.com';

const SCOPES = 'orders:read orders:write';

/** Everything, running: the embedded issuer, the API that trusts it, and the clients that call it. */
export interface Example extends Walkthrough {
  readonly clients: ExampleClients;
  /** A further client, or one of these with other options. */
  connect(options: Omit<ClientOptions, 'issuer' | 'resource'> & { resource?: string }): Promise<TokenKeeper>;
  close(): Promise<void>;
}

type Ports = Pick<Settings, 'machineClients'> & Partial<Pick<Settings, 'apiPorts' | 'issuerPorts'>>;

export async function startExample({ machineClients, apiPorts = [0], issuerPorts = [0] }: Ports): Promise<Example> {
  const servers: Listening[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.close()));
  };
  try {
    const clients = await makeClients();
    const resources = { [AUDIENCE]: SCOPES, [OTHER_AUDIENCE]: SCOPES };
    const issuer = await startIssuer({ clients: clients.registrations, resources, ports: issuerPorts });
    servers.push(issuer);
    const api = await listen(createApi({ issuer: issuer.url, audience: AUDIENCE, machineClients }), apiPorts);
    servers.push(api);

    const connect: Example['connect'] = (options) =>
      connectClient({ issuer: issuer.url, resource: AUDIENCE, ...options });
    const reader = await connect(clients.reader);
    const worker = await connect(clients.worker);
    const elsewhere = await connect({ ...clients.worker, resource: OTHER_AUDIENCE });
    return { api: api.url, issuer, clients, connect, reader, worker, elsewhere, close };
  } catch (error) {
    await close();
    throw error;
  }
}
