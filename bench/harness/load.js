/**
 * A light HTTP client on bare sockets. It needs less CPU per request than the server under test, so that on two cores
 * the server is the bottleneck.
 */
import { connect } from 'node:net';

/**
 * @typedef {{ port: number, cpu: () => Promise<number> }} Server  `cpu`: its CPU time until now, in microseconds
 * @typedef {{ server: Server, count: number, next: (i: number) => { token: string, isValid: boolean } }} Load
 */

/** A path without protection: its response shows that the server has accepted a connection. */
export const READY = '/ready';
const CONNECTIONS = 50;
const LONGEST_MS = 20_000;

class Connection {
  #socket;
  #received = '';
  #answered;

  static open(port) {
    return new Promise((resolve, reject) => {
      const connection = new Connection();
      connection.#socket = connect(port, '127.0.0.1', () => {
        connection.#request(READY, '', () => resolve(connection));
      });
      connection.#socket.setNoDelay(true);
      connection.#socket.on('error', reject);
      connection.#socket.on('data', (chunk) => connection.#read(chunk));
      connection.#socket.on('close', () => connection.#answered?.(0, ''));
    });
  }

  /** @param {(status: number, body: string) => void} onResponse  Status 0: the server closed the connection. */
  send(token, onResponse) {
    this.#request('/', `Authorization: Bearer ${token}\r\n`, onResponse);
  }

  #request(path, headers, onResponse) {
    this.#received = '';
    this.#answered = onResponse;
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`, 'latin1');
  }

  #read(chunk) {
    this.#received += chunk.latin1Slice();
    const text = this.#received;
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) return;
    const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1];
    const isWhole = length === undefined ? text.endsWith('\r\n0\r\n\r\n') : text.length >= end + 4 + Number(length);
    if (!isWhole) return;
    const onResponse = this.#answered;
    this.#answered = undefined;
    onResponse(Number(text.slice(9, 12)), text.slice(end + 4));
  }

  close() {
    this.#answered = undefined;
    this.#socket.destroy();
  }
}

const openAll = (port, count) => Promise.all(Array.from({ length: count }, () => Connection.open(port)));

/** One request, for checks. */
export async function request(port, token) {
  const connection = await Connection.open(port);
  const [status, body] = await new Promise((resolve) =>
    connection.send(token, (...response) => {
      resolve(response);
    }),
  );
  connection.close();
  return { status, body };
}

/** The responses, by kind of request. */
class Tally {
  served = 0;
  /** Unexpected responses. */
  surprises = 0;
  /** Milliseconds, of the valid requests. */
  latencies = [];

  add(isValid, status, latency) {
    this.served++;
    if (isValid) this.latencies.push(latency);
    if (isValid !== (status === 200)) this.surprises++;
  }
}

/**
 * As fast as the server responds: every connection sends the next request after each response. The result includes the
 * server's CPU time per request, in microseconds, without that of the connections' start.
 *
 * @param {Load & { connections?: number }} load
 */
export async function saturate({ server, count, next, connections: width = CONNECTIONS }) {
  const connections = await openAll(server.port, width);
  const tally = new Tally();
  const serverCpu = await server.cpu();
  const cpu = process.cpuUsage();
  const start = performance.now();
  let sent = 0;
  const run = (connection) =>
    new Promise((resolve) => {
      const step = () => {
        if (sent >= count || performance.now() - start > LONGEST_MS) return resolve();
        const { token, isValid } = next(sent++);
        const at = performance.now();
        connection.send(token, (status) => {
          tally.add(isValid, status, performance.now() - at);
          if (status === 0) resolve();
          else step();
        });
      };
      step();
    });
  await Promise.all(connections.map(run));
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const perRequest = ((await server.cpu()) - serverCpu) / tally.served;
  for (const connection of connections) connection.close();
  return {
    ...tally,
    cpu: perRequest,
    perSecond: tally.served / seconds,
    clientLoad: (user + system) / 1e6 / seconds,
  };
}

/**
 * At a steady rate, whatever the server does. Latency starts at the scheduled time of a request, so that a server that
 * falls behind cannot hide it.
 *
 * @param {Load & { rate: number }} load  `rate`: requests per second
 */
export async function pace({ server, count, rate, next }) {
  const idle = await openAll(server.port, CONNECTIONS);
  const all = [...idle];
  const tally = new Tally();
  const start = performance.now();
  let sent = 0;
  let open = 0;
  const sendDue = () => {
    const due = Math.min(count, Math.floor(((performance.now() - start) / 1000) * rate));
    while (sent < due && idle.length > 0) {
      const connection = idle.pop();
      const at = start + (sent / rate) * 1000;
      const { token, isValid } = next(sent++);
      open++;
      connection.send(token, (status) => {
        open--;
        tally.add(isValid, status, performance.now() - at);
        if (status !== 0) idle.push(connection);
      });
    }
  };
  await new Promise((resolve) => {
    const tick = () => {
      sendDue();
      const isOver = (sent >= count && open === 0) || performance.now() - start > LONGEST_MS;
      if (isOver) resolve();
      else setImmediate(tick);
    };
    tick();
  });
  for (const connection of all) connection.close();
  return { ...tally };
}
