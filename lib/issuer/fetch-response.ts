import { TextDecoder } from 'node:util';
import { isPlainObject } from '../util/is-plain-object.js';
import { HttpError } from './http-error.js';

/** What a `fetch` from the options receives in addition to the URL. */
export interface FetchInit {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly redirect?: 'manual';
  readonly signal?: AbortSignal;
}

/**
 * What a `fetch` from the options returns: a `Response`, or an object with these members and one of `body` (a stream),
 * `arrayBuffer()`, `text()` and `json()`.
 */
export interface FetchResponse {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body?: unknown;
}

type Members = Readonly<Record<string, unknown>>;

const EXPECTED = 'the option fetch must return a Response: status, headers, and body, arrayBuffer(), text() or json()';

/** Returns the status of a response. `name` is that of the URL, for messages. @throws HttpError if it is not a response. */
export function checkResponse(name: string, response: unknown): number {
  if (!isPlainObject(response)) throw notAResponse(name);
  // A browser hides the status of a redirect that it does not follow.
  if (response.type === 'opaqueredirect') return 302;
  // A wrapper of `fetch` that drops `redirect: 'manual'` has followed a redirect, which may lead anywhere.
  if (response.redirected === true) return 302;
  if (typeof response.status === 'number') return response.status;
  if (response.ok === true) return 200;
  throw notAResponse(name);
}

export function readHeader(response: FetchResponse, name: string): string | undefined {
  const headers: unknown = response.headers;
  if (!isPlainObject(headers)) return undefined;
  const isMap = headers instanceof Map;
  const value: unknown =
    !isMap && typeof headers.get === 'function'
      ? (headers as unknown as Headers).get(name)
      : // Test doubles, in any letter case.
        (isMap ? [...headers] : Object.entries(headers)).find(([each]) => String(each).toLowerCase() === name)?.[1];
  return typeof value === 'string' ? value : undefined;
}

/** Cancels the body of a response that is not read, so that its connection becomes free. */
export async function discardBody({ body }: FetchResponse): Promise<void> {
  if (!isPlainObject(body)) return;
  try {
    if (typeof body.cancel === 'function') await (body as unknown as ReadableStream).cancel();
    else if (typeof body.destroy === 'function') (body as unknown as { destroy(): void }).destroy();
  } catch {
    // This body is not needed.
  }
}

/** Reads the body as UTF-8. @throws HttpError if it is too large, not UTF-8, or cannot be read. */
export async function readBody(name: string, response: FetchResponse, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunksOf(name, response)) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Uint8Array);
    size += bytes.byteLength;
    // Leaving the loop ends the stream.
    if (size > maxBytes) throw new HttpError('too_large', `${name} returned more than ${maxBytes} bytes`);
    chunks.push(bytes);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new HttpError('invalid', `${name} did not return UTF-8`);
  }
}

async function* chunksOf(name: string, response: FetchResponse): AsyncGenerator {
  const { body } = response;
  const members = response as unknown as Members & {
    arrayBuffer(): Promise<ArrayBuffer>;
    text(): Promise<string>;
    json(): Promise<unknown>;
  };
  if (isPlainObject(body) && typeof body.getReader === 'function') {
    yield* readStream(body as unknown as ReadableStream<Uint8Array>);
  } else if (isPlainObject(body) && Symbol.asyncIterator in body) {
    // A stream of Node.js, as node-fetch returns it.
    yield* body as unknown as AsyncIterable<unknown>;
  } else if (typeof members.arrayBuffer === 'function') {
    yield new Uint8Array(await members.arrayBuffer());
  } else if (typeof members.text === 'function') {
    yield await members.text();
  } else if (typeof members.json === 'function') {
    const json: unknown = await members.json();
    yield JSON.stringify(json ?? null);
  } else if (body !== null) {
    throw notAResponse(name);
  }
}

async function* readStream(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  let isDone = false;
  try {
    for (;;) {
      const { value } = await reader.read();
      if (value === undefined) break;
      yield value;
    }
    isDone = true;
  } finally {
    if (!isDone) await reader.cancel().catch(() => undefined);
  }
}

function notAResponse(name: string): HttpError {
  return new HttpError('invalid', `${EXPECTED} (${name})`);
}
