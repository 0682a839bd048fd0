import { Agent, createServer, type RequestListener, type Server } from 'node:http';
import { afterAll, afterEach, beforeAll, expect } from '@jest/globals';
import type { ErrorRequestHandler, Express } from 'express';
import fc from 'fast-check';
import { getRaw, type RawAnswer, start, stop } from './helpers.js';

// The characters that Node accepts in a header: tab, printable ASCII, obs-text.
const octet = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0x20, max: 0x7e }) },
  { weight: 1, arbitrary: fc.integer({ min: 0x80, max: 0xff }) },
  { weight: 1, arbitrary: fc.constant(0x09) },
);

/** Any text that can be the value of a header field. */
export const fieldValue = fc.array(octet, { maxLength: 60 }).map((octets) => String.fromCharCode(...octets));

/**
 * One server for all tests of a file, which must keep working: no error may reach its last handler, and after each test
 * it must respond to a valid request with 200. Returns a function that sends header fields to it.
 */
export function serveHostile(
  makeApp: () => Express | Promise<Express>,
  sendGood: () => Promise<RawAnswer>,
): (fields: readonly string[], path?: string) => Promise<RawAnswer> {
  const agent = new Agent({ keepAlive: true });
  const failures: unknown[] = [];
  let server: Server;
  let port = 0;

  beforeAll(async () => {
    const app = await makeApp();
    const handler: ErrorRequestHandler = (error, _req, _res, next) => {
      failures.push(error);
      next(error);
    };
    app.use(handler);
    server = createServer(app as RequestListener);
    // A slow machine must not lose a keep-alive connection.
    server.keepAliveTimeout = 0;
    port = await start(server);
  });

  afterEach(async () => {
    // The process must still respond. An unhandled rejection fails the test without further code.
    expect(failures).toEqual([]);
    expect((await sendGood()).status).toBe(200);
  });

  afterAll(async () => {
    agent.destroy();
    await stop(server);
  });

  return (fields, path = '/') => getRaw(port, fields, { agent, path });
}
