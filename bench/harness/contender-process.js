/** One contender in an Express application of its own. */
import express from 'express';
import { callAll } from './call.js';

let contender;

const answers = {
  async start({ file, setting }) {
    const { make } = await import(file);
    contender = make(setting);
    const app = express();
    app.get('/', contender.middleware, (req, res) => {
      res.json({ client: contender.clientOf(req) });
    });
    // Express knows an error handler by its four parameters.
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
  /** Microseconds of CPU so far, all threads. */
  cpu() {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  /** Microseconds per call of the middleware. */
  call: ({ tokens, count }) => callAll(contender, tokens, count),
};

process.on('message', async ({ id, ask, ...question }) => {
  try {
    process.send({ id, answer: await answers[ask](question) });
  } catch (error) {
    process.send({ id, error: error.stack });
  }
});
process.on('disconnect', () => process.exit());
