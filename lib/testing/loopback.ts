import { createServer, type IncomingMessage, type Server, type ServerResponse as HttpResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ServerRequest, ServerResponse } from './authorization-server.js';

/** Puts an authorization server on a loopback port, and takes it down and up again. */
export class LoopbackServer {
  readonly #server: Server;
  #port = 0;

  constructor(respond: (request: ServerRequest) => Promise<ServerResponse>) {
    this.#server = createServer((req, res) => {
      // A client that disconnects gets no response.
      serve(req, res, respond).catch(() => res.destroy());
    });
    // A test that forgets to close the issuer still ends.
    this.#server.unref();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Listens on a free port; later on the same one. */
  async up(): Promise<void> {
    if (this.#server.listening) return;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async down(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

async function serve(
  req: IncomingMessage,
  res: HttpResponse,
  respond: (request: ServerRequest) => Promise<ServerResponse>,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk);
  const { method = '', url: path = '', headers } = req;
  const body = Buffer.concat(chunks).toString();
  const response = await respond({ method, path, authorization: headers.authorization, body });
  res.writeHead(response.status, { 'Content-Type': 'application/json' }).end(response.body);
}
