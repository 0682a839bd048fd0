/** One contender in its own Express application. */
import express from 'express';
import { callAll } from './call.js';

let contender;

const methods = {
  async start({ file, setting }) {
    const { make } = await import(file);
    contender = make(setting);
    const app = express();
    app.get('/', contender.middleware, (req, res) => {
      res.json({ client: contender.clientOf(req) });
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
      const server = app.listen(0, '127.0.0.1', () => resolve(server.address().port));
      server.keepAliveTimeout = 60_000;
    });
  },
  /** Microseconds of CPU since the start, all threads. */
  cpu() {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  /** Microseconds per call of the middleware. */
  call: ({ tokens, count }) => callAll(contender, tokens, count),
};

process.on('message', async ({ id, method, ...parameters }) => {
  try {
    process.send({ id, result: await methods[method](parameters) });
  } catch (error) {
    process.send({ id, error: error.stack });
  }
});
process.on('disconnect', () => process.exit());
