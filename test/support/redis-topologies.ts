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
  const buses = [await freePort(), await freePort(), await freePort()];
  const servers = await Promise.all(
    buses.map((bus, i) => {
      const flags = ['--cluster-enabled', 'yes', '--cluster-config-file', `${i}.conf`, '--dir', folder];
      return RedisServer.start(...flags, '--cluster-port', String(bus), '--cluster-node-timeout', '500');
    }),
  );
  const clients = await Promise.all(servers.map(connect));
  const share = Math.ceil(SLOTS / servers.length);
  for (const [i, client] of clients.entries()) {
    const slots = [i * share, Math.min(SLOTS, (i + 1) * share) - 1];
    await client.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', ...slots.map(String)]);
    await client.sendCommand(['CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1)]);
    await client.sendCommand(['CLUSTER', 'MEET', HOST, String(servers[0]?.port), String(buses[0])]);
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
