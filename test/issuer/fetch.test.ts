import { createServer, type RequestListener } from 'node:http';
import { Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { type Fetch, type FetchResponse, jwtVerifier } from '../../lib/index.js';
import { fetchResponse, globalFetch } from '../../lib/issuer/http.js';
import { open, startIssuer, verifyAsync } from '../support/helpers.js';

async function verifyWith(make: (response: Response) => unknown): Promise<unknown> {
  const issuer = await startIssuer();
  const own: Fetch = async (url, init) => (await make(await fetch(url, init))) as FetchResponse;
  const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience, fetch: own });
  return verifyAsync(verifier, await issuer.issue());
}

describe('a custom fetch', () => {
  it.each<[string, (response: Response) => unknown]>([
    ['undici', (response) => response],
    [
      'node-fetch, whose body is a stream of Node.js',
      async (response) => ({
        status: response.status,
        headers: response.headers,
        body: Readable.from([Buffer.from(await response.arrayBuffer())]),
      }),
    ],
    [
      'only text()',
      (response) => ({ status: response.status, headers: response.headers, text: () => response.text() }),
    ],
    ['only json()', (response) => ({ status: response.status, json: () => response.json() })],
    ['ok instead of status', (response) => ({ ok: response.ok, json: () => response.json() })],
    [
      'headers that are an object',
      (response) => ({ status: 200, headers: { 'cache-control': 'max-age=60' }, text: () => response.text() }),
    ],
  ])('works: %s', async (_, make) => {
    await expect(verifyWith(make)).resolves.toMatchObject({ clientId: 'client-1' });
  });

  it.each<[string, (response: Response) => unknown]>([
    ['nothing', () => undefined],
    ['a string', (response) => response.text()],
    ['the parsed body', (response) => response.json()],
    ['a response without a body', ({ status, headers }) => ({ status, headers })],
  ])('that returns %s causes an error that names the option', async (_, make) => {
    await expect(verifyWith(make)).rejects.toMatchObject({ status: 503 });
    const error: unknown = await verifyWith(make).catch((each: unknown) => each);
    expect(messagesOf(error)).toContain('the option fetch must return a Response');
  });

  it('that follows redirects is not used', async () => {
    const followed = { status: 200, redirected: true, text: () => Promise.resolve('{}') } as unknown as FetchResponse;
    const http = { fetch: () => Promise.resolve(followed), timeout: 1, maxBytes: 1_000 };
    await expect(fetchResponse('https://example.com/', http)).rejects.toMatchObject({ failure: 'redirect' });
  });

  it.each<[string, unknown]>([
    ['an object', { 'Retry-After': '7' }],
    ['a Map', new Map([['Retry-After', '7']])],
    ['a Headers', new Headers({ 'Retry-After': '7' })],
  ])('has headers in any letter case: %s', async (_, headers) => {
    const response = { status: 429, headers, text: () => Promise.resolve('') } as unknown as FetchResponse;
    const http = { fetch: () => Promise.resolve(response), timeout: 1, maxBytes: 1_000 };
    await expect(fetchResponse('https://example.com/', http)).rejects.toMatchObject({ status: 429, retryAfter: 7 });
  });

  it.each<[string, (text: string) => unknown]>([
    ['a stream of Node.js', (text) => ({ status: 200, body: Readable.from([text, text]) })],
    ['text()', (text) => ({ status: 200, text: () => Promise.resolve(text + text) })],
    ['arrayBuffer()', (text) => ({ status: 200, arrayBuffer: () => Promise.resolve(Buffer.from(text + text)) })],
  ])('has a limit in bytes: %s', async (_, make) => {
    const http = {
      fetch: (() => Promise.resolve(make('x'.repeat(600)))) as unknown as Fetch,
      timeout: 1,
      maxBytes: 1_000,
    };
    await expect(fetchResponse('https://example.com/', http)).rejects.toMatchObject({ failure: 'too_large' });
  });
});

function messagesOf(error: unknown): string {
  return error instanceof Error
    ? `${error.message} ${messagesOf(error.cause)} ${
        error instanceof AggregateError ? error.errors.map(messagesOf).join(' ') : ''
      }`
    : '';
}

describe('a pool in which all connections are dead', () => {
  it('is replaced by new connections', async () => {
    let generation = 0;
    const handler: RequestListener = (_req, res) => setTimeout(() => res.end('{}'), 20);
    const server = createServer(handler);
    server.on('connection', (socket) => {
      const own = generation;
      socket.prependListener('data', () => {
        if (own < generation) socket.resetAndDestroy();
      });
    });
    const url = `http://127.0.0.1:${await open(server)}/`;
    const http = { fetch: globalFetch, timeout: 5, maxBytes: 1_000 };
    const requests = (count: number) => Promise.all(Array.from({ length: count }, () => fetchResponse(url, http)));
    await requests(20);
    generation++;
    await expect(requests(8)).resolves.toHaveLength(8);
  });
});
