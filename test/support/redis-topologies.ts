import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type Client, freePort, makeClient, RedisServer } from './redis-server.js';

export interface Address {
  readonly host: string;
  readonly port: number;
}

const HOST = '127.0.0.1';
const SLOTS = 16_384;

/** A Redis Cluster of three masters. */
export interface RedisCluster {
  readonly addresses: readonly Address[];
  stop(): Promise<void>;
}

export async function startCluster(): Promise<RedisCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'redis-cluster-'));
  const nodes = await Promise.all([0, 1, 2].map((i) => startNode(folder, `${i}.conf`)));
  const servers = nodes.map(({ server }) => server);
  const clients = await Promise.all(servers.map(connect));
  const share = Math.ceil(SLOTS / servers.length);
  for (const [i, client] of clients.entries()) {
    const slots = [i * share, Math.min(SLOTS, (i + 1) * share) - 1];
    await client.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', ...slots.map(String)]);
    await client.sendCommand(['CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1)]);
    await client.sendCommand(['CLUSTER', 'MEET', HOST, String(servers[0]?.port), String(nodes[0]?.bus)]);
  }
  for (const client of clients) await untilReply(client, ['CLUSTER', 'INFO'], 'cluster_state:ok');
  for (const client of clients) client.destroy();
  return {
    addresses: servers.map(({ port }) => ({ host: HOST, port })),
    stop: async () => {
      await Promise.all(servers.map((server) => server.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** One node of a cluster. Another process may take the port of its bus before it listens, so each try has a new one. */
async function startNode(folder: string, file: string): Promise<{ server: RedisServer; bus: number }> {
  const flags = ['--cluster-enabled', 'yes', '--cluster-config-file', file, '--dir', folder];
  for (let tries = 1; ; tries++) {
    const bus = await freePort();
    try {
      const server = await RedisServer.start(...flags, '--cluster-port', String(bus), '--cluster-node-timeout', '500');
      return { server, bus };
    } catch (error) {
      if (tries === 5) throw error;
    }
  }
}

/** A primary and a replica, and a sentinel that makes the replica the primary as soon as the primary is gone. */
export interface RedisSentinel {
  /** The name of the primary. */
  readonly name: string;
  readonly address: Address;
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  stop(): Promise<void>;
}

export async function startSentinel(): Promise<RedisSentinel> {
  const name = 'the-primary';
  const folder = await mkdtemp(join(tmpdir(), 'redis-sentinel-'));
  const primary = await RedisServer.start('--repl-diskless-sync-delay', '0');
  const replica = await RedisServer.start('--replicaof', HOST, String(primary.port), '--dir', folder);
  const client = await connect(replica);
  await untilReply(client, ['INFO', 'replication'], 'master_link_status:up');
  client.destroy();
  const configurationFile = join(folder, 'sentinel.conf');
  const lines = [
    `sentinel monitor ${name} ${HOST} ${primary.port} 1`,
    `sentinel down-after-milliseconds ${name} 200`,
    `sentinel failover-timeout ${name} 2000`,
  ];
  await writeFile(configurationFile, `${lines.join('\n')}\n`);
  const sentinel = await RedisServer.startSentinel(configurationFile);
  const sentinelClient = await connect(sentinel);
  await untilReply(sentinelClient, ['SENTINEL', 'REPLICAS', name], String(replica.port));
  sentinelClient.destroy();
  return {
    name,
    address: { host: HOST, port: sentinel.port },
    primary,
    replica,
    stop: async () => {
      await Promise.all([sentinel, primary, replica].map((server) => server.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function connect(server: RedisServer): Promise<Client> {
  const client = makeClient(server);
  await client.connect();
  return client;
}

async function untilReply(client: Client, command: string[], text: string): Promise<void> {
  for (;;) {
    const reply = await client.sendCommand(command);
    if (JSON.stringify(reply).includes(text)) return;
    await setImmediate();
  }
}
