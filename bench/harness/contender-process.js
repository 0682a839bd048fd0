/** One contender in its own Express application. */
import { callAll } from './call.js';
import { READY } from './load.js';
import { serveMethods } from './methods.js';

let contender;

serveMethods({
  /** @param {{ file: string, setting: object, expressPackage: string }} parameters */
  async start({ file, setting, expressPackage }) {
    const { default: express } = await import(expressPackage);
    const start = performance.now();
    const { make } = await import(file);
    const importMs = performance.now() - start;
    contender = make(setting);
    const app = express();
    app.get('/', contender.middleware, (req, res) => {
      res.json({ client: contender.clientOf(req) });
    });
    app.get(READY, (_req, res) => {
      res.json({});
    });
    // Express recognizes an error handler by its four parameters.
    // eslint-disable-next-line no-unused-vars
    app.use((error, _req, res, _next) => {
      res
        .status(error.status ?? 500)
        .set(error.headers ?? {})
        .json({ error: error.code });
    });
    return new Promise((resolve) => {
      const server = app.listen(0, '127.0.0.1', () => resolve({ port: server.address().port, importMs }));
      server.keepAliveTimeout = 60_000;
    });
  },
  /** Microseconds of CPU since the start, all threads. */
  cpu() {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  /** Microseconds of CPU per call of the middleware. */
  call: ({ tokens, count }) => callAll(contender, tokens, count),
});
