import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server on the loopback interface. */
export interface RunningServer {
  readonly url: string;
  /** Resolves when all pending requests have a response. */
  close(): Promise<void>;
}

/** Listens on the first of these ports that is free. */
export async function listen(listener: RequestListener, ports: readonly number[] = [0]): Promise<RunningServer> {
  const server = createServer(listener);
  const port = await bind(server, ports);
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

async function bind(server: Server, [port, ...others]: readonly number[]): Promise<number> {
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    if (!isTaken || others.length === 0) throw error;
    return bind(server, others);
  }
}
