import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import { type CommandResult, runProcess } from '../cli/command.js';
import { startIssuer } from '../support/helpers.js';
import { optionsFor } from '../support/introspection.js';
import { ROOT } from '../support/type-check.js';

const LIBRARY = pathToFileURL(join(ROOT, 'dist/index.js')).href;
const EXPRESS = pathToFileURL(join(ROOT, 'node_modules/express/index.js')).href;

/** Runs a module that calls `done()` when its work is complete. Prints how long the process lives after that, in seconds. */
function run(code: string): Promise<CommandResult> {
  const program = `
    import * as library from ${JSON.stringify(LIBRARY)};
    import express from ${JSON.stringify(EXPRESS)};
    let since;
    const done = () => { since = performance.now(); };
    process.on('exit', () => console.log((performance.now() - since) / 1000));
    ${code}`;
  return runProcess(process.execPath, ['--input-type=module', '--eval', program]);
}

const secondsOf = ({ stdout }: CommandResult): number => Number(stdout);

/** Time for the slowest machine. Every timer and timeout of the package that could keep the process alive is longer. */
const IMMEDIATELY = 3;
const LONG = { refreshInterval: 60, timeout: 30 };

/** The options of a verifier of this issuer as code. */
const optionsOf = (issuer: TestIssuer, options: object = {}): string =>
  JSON.stringify({ issuer: issuer.url, audience: issuer.audience, keys: LONG, ...options });

describe('a pending prefetch', () => {
  it.each(['metadata', 'jwks'] as const)(
    'delays the exit of the process by at most keys.timeout: %s',
    async (document) => {
      const issuer = await startIssuer();
      issuer.fail(document, 'hang');
      const result = await run(`
      library.jwtVerifier(${optionsOf(issuer, { keys: { timeout: 1 } })});
      done();`);
      expect(result.status).toBe(0);
      expect(issuer.requests[document]).toBeGreaterThan(0);
      expect(secondsOf(result)).toBeGreaterThan(0.9);
      expect(secondsOf(result)).toBeLessThan(1 + IMMEDIATELY);
    },
  );

  it('of introspection delays it by at most its timeout', async () => {
    const issuer = await startIssuer();
    issuer.fail('metadata', 'drip');
    const result = await run(`
      library.introspectionVerifier(${JSON.stringify(optionsFor(issuer, { timeout: 1, keys: {} }))});
      done();`);
    expect(result.status).toBe(0);
    expect(secondsOf(result)).toBeGreaterThan(0.9);
    expect(secondsOf(result)).toBeLessThan(1 + IMMEDIATELY);
  });

  it('that is complete, or is turned off, delays it no more', async () => {
    const issuer = await startIssuer();
    const result = await run(`
      library.jwtVerifier(${optionsOf(issuer, { keys: { ...LONG, prefetch: false } })});
      library.introspectionVerifier(${JSON.stringify(optionsFor(issuer))});
      await library.jwtVerifier(${optionsOf(issuer)}).ready();
      done();`);
    expect(secondsOf(result)).toBeLessThan(IMMEDIATELY);
  });
});

describe('the process exits immediately', () => {
  it('with idle verifiers: refresh timers, a keep-alive connection, caches, stores and signals', async () => {
    const issuer = await startIssuer();
    issuer.cacheControl = 'max-age=600';
    const [token, opaque] = [await issuer.issue(), issuer.issueOpaque()];
    const introspection = JSON.stringify(optionsFor(issuer, { keys: {} }));
    const result = await run(`
      const store = library.memoryStore();
      const jwt = library.jwtVerifier({ ...${optionsOf(issuer)}, keySnapshot: store });
      const introspection = library.introspectionVerifier({ ...${introspection}, store });
      const all = library.cachedVerifier(library.trustedIssuers([jwt, introspection]));
      const app = express();
      app.use(library.bearer(all, { dpop: { mode: 'allowed', store, nonce: true } }), (req, res) => {
        library.authSignal(req).addEventListener('abort', () => undefined);
        res.end();
      });
      const server = app.listen(0, '127.0.0.1', async () => {
        const url = 'http://127.0.0.1:' + server.address().port;
        const { status: first } = await fetch(url, { headers: { Authorization: 'Bearer ${token}' } });
        const { status: second } = await fetch(url, { headers: { Authorization: 'Bearer ${opaque}' } });
        if (first !== 200 || second !== 200) throw new Error(first + ' ' + second);
        server.close();
        server.closeAllConnections();
        done();
      });`);
    expect(result).toMatchObject({ status: 0, stderr: '' });
    expect(issuer.requests).toMatchObject({ jwks: 1, introspection: 1 });
    expect(secondsOf(result)).toBeLessThan(IMMEDIATELY);
  });

  it('while the authorization server is down and a retry is pending', async () => {
    const issuer = await startIssuer();
    await issuer.goDown();
    const result = await run(`
      await library.jwtVerifier(${optionsOf(issuer)}).ready().catch(() => undefined);
      await library.introspectionVerifier(${JSON.stringify(optionsFor(issuer, { keys: {} }))}).ready().catch(() => undefined);
      done();`);
    expect(result.status).toBe(0);
    expect(result.stderr).toContain('ECONNREFUSED');
    expect(secondsOf(result)).toBeLessThan(IMMEDIATELY);
  });
});

describe('the package', () => {
  it('has no open asynchronous resource after it was loaded, which test runners would report as an open handle', async () => {
    const result = await runProcess(process.execPath, [
      '--input-type=module',
      '--eval',
      `
      import { AsyncLocalStorage, createHook } from 'node:async_hooks';
      const open = new Map();
      const hook = createHook({ init: (id, type) => open.set(id, type), destroy: (id) => open.delete(id) }).enable();
      await import(${JSON.stringify(LIBRARY)});
      await new Promise(setImmediate);
      hook.disable();
      console.log(JSON.stringify([...open.values()].filter((type) => /bound|resource/i.test(type))));`,
    ]);
    expect(result).toMatchObject({ status: 0, stdout: '[]\n' });
  });
});
