import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from '@jest/globals';
import { ROOT } from '../support/type-check.js';
import { runProcess } from './command.js';

const LIBRARY = pathToFileURL(join(ROOT, 'dist/index.js')).href;

/** Sends one request with a token in the query, and one with an opaque token, to an API with the built package. */
const PROGRAM = `
  import express from ${JSON.stringify(pathToFileURL(join(ROOT, 'node_modules/express/index.js')).href)};
  import { jwtBearer } from ${JSON.stringify(LIBRARY)};
  const app = express();
  const keys = { prefetch: false };
  app.use('/api', jwtBearer({ issuer: 'https://auth.example.com', audience: 'api', keys }), (req, res) => res.end());
  const server = app.listen(0, '127.0.0.1', async () => {
    const url = 'http://127.0.0.1:' + server.address().port + '/api/or%64ers?access_token=hush';
    await fetch(url);
    await fetch(url, { headers: { Authorization: 'Bearer opaque-hush' } });
    server.close();
  });
`;

const run = (env: NodeJS.ProcessEnv) =>
  runProcess(process.execPath, ['--input-type=module', '--eval', PROGRAM], { env: { ...process.env, ...env } });

it('NODE_DEBUG prints one line for each rejected request, without the token and the query', async () => {
  const { status, stderr } = await run({ NODE_DEBUG: 'express-resource-server' });
  expect(status).toBe(0);
  const lines = stderr.split('\n').filter((line) => line.startsWith('EXPRESS-RESOURCE-SERVER'));
  expect(lines).toEqual([
    expect.stringMatching(/ GET \/api\/or%64ers 401 token_missing \| .*A token in the query is not read/),
    expect.stringMatching(/ GET \/api\/or%64ers 401 not_a_jwt \| .*Use introspectionBearer/),
  ]);
  expect(stderr).not.toContain('hush');
});

it('nothing is printed for rejected requests without NODE_DEBUG', async () => {
  const { status, stdout, stderr } = await run({ NODE_DEBUG: '' });
  expect([status, stdout, stderr]).toEqual([0, '', '']);
});
