import type { ServerRequest, ServerResponse } from './authorization-server.js';

interface FetchSettings {
  readonly url: () => string;
  readonly isDown: () => boolean;
  /** Seconds. */
  readonly delay: () => number;
  readonly respond: (request: ServerRequest) => ServerResponse;
}

/** A `fetch` that reaches only one test issuer, without a socket. It fails like the global `fetch`. */
export function createFetch(settings: FetchSettings): (url: string, init?: RequestInit) => Promise<Response> {
  return async (target, init = {}) => {
    const { origin, pathname, search } = new URL(target);
    if (origin !== settings.url()) {
      throw new TypeError(`issuer.fetch reaches only ${settings.url()}, and the request is for ${origin}`);
    }
    if (settings.isDown()) {
      const cause = Object.assign(new Error('connect ECONNREFUSED: the test issuer is down'), { code: 'ECONNREFUSED' });
      throw new TypeError('fetch failed', { cause });
    }
    const headers = new Headers(init.headers);
    const { status, body } = settings.respond({
      method: init.method ?? 'GET',
      path: `${pathname}${search}`,
      authorization: headers.get('authorization') ?? undefined,
      body: bodyOf(init.body),
    });
    await waitUnlessAborted(settings.delay(), init.signal ?? undefined);
    return new Response(body, { status, headers: { 'Content-Type': 'application/json' } });
  };
}

function bodyOf(body: RequestInit['body']): string {
  if (body === undefined || body === null) return '';
  if (typeof body === 'string' || body instanceof URLSearchParams) return String(body);
  throw new TypeError('issuer.fetch supports only bodies of text and URLSearchParams');
}

async function waitUnlessAborted(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  const aborted = new Promise<never>((_, reject) => {
    const abort = (): void => {
      reject(signal?.reason instanceof Error ? signal.reason : new Error('The request was aborted.'));
    };
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
  await Promise.race([aborted, wait(seconds)]);
}

/** Waits before a response is sent; does not keep the process alive. */
export async function wait(seconds: number): Promise<void> {
  if (seconds <= 0) return;
  await new Promise<void>((resolve) => {
    const timer: { unref?: () => unknown } = setTimeout(resolve, seconds * 1000);
    // In jsdom, a timer is a number.
    timer.unref?.();
  });
}
