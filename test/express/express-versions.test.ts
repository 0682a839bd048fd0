import express5 from 'express';
import express4 from 'express4';
import { describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import { getAuth, jwtBearer, requireScopes } from '../../lib/index.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import { challengesOf, startIssuer } from '../support/helpers.js';

// One type for both: what is used here is the same.
const VERSIONS = [
  { version: 4, express: express4 as unknown as typeof express5 },
  { version: 5, express: express5 },
];

type App = ReturnType<typeof express5>;

const who: express5.RequestHandler = (req, res) => {
  res.json(getAuth(req).issuer);
};

function authenticate(issuer: TestIssuer, errors: 'respond' | 'next' = 'respond'): ReturnType<typeof jwtBearer> {
  return jwtBearer({ issuer: issuer.url, audience: issuer.audience, errors });
}

async function statuses(app: App, path: string, issuer: TestIssuer): Promise<number[]> {
  const answers = [];
  for (const token of [undefined, 'bad', await issuer.issue(), await issuer.issue({ scope: 'a' })]) {
    const request = supertest(app).get(path);
    answers.push(await (token === undefined ? request : request.set('Authorization', `Bearer ${token}`)));
  }
  for (const answer of answers.filter(({ status }) => status !== 200)) {
    expect(challengesOf(answer)[0]?.scheme).toBe('Bearer');
    expect(answer.headers['content-type']).toBe('application/json');
  }
  return answers.map(({ status }) => status);
}

describe.each(VERSIONS)('with Express $version', ({ express }) => {
  it('protects an application', async () => {
    const issuer = await startIssuer();
    const app = express();
    app.use(authenticate(issuer));
    app.get('/', requireScopes('a'), who);
    expect(await statuses(app, '/', issuer)).toEqual([401, 401, 403, 200]);
  });

  it('protects a router and nothing beside it', async () => {
    const issuer = await startIssuer();
    const app = express();
    const router = express.Router();
    router.use(authenticate(issuer), requireScopes('a'));
    router.get('/orders/:id', who);
    app.use('/api', router);
    app.get('/open', (_req, res) => {
      res.end();
    });
    expect(await statuses(app, '/api/orders/1', issuer)).toEqual([401, 401, 403, 200]);
    expect((await supertest(app).get('/open')).status).toBe(200);
  });

  it('protects one route', async () => {
    const issuer = await startIssuer();
    const app = express();
    app.get('/one', authenticate(issuer), requireScopes('a'), who);
    app.get('/other', (_req, res) => {
      res.end();
    });
    expect(await statuses(app, '/one', issuer)).toEqual([401, 401, 403, 200]);
    expect((await supertest(app).get('/other')).status).toBe(200);
  });

  it('protects two parts with two issuers', async () => {
    const [one, two] = [await startIssuer(), await startIssuer()];
    const app = express();
    app.use('/one', authenticate(one), who);
    app.use('/two', authenticate(two), who);
    expect(await statuses(app, '/one', one)).toEqual([401, 401, 200, 200]);
    expect(await statuses(app, '/two', two)).toEqual([401, 401, 200, 200]);
    expect(await statuses(app, '/one', two)).toEqual([401, 401, 401, 401]);
    expect(await statuses(app, '/two', one)).toEqual([401, 401, 401, 401]);
  });

  it('demands of one route two authentications, of which the last counts', async () => {
    const [one, two] = [await startIssuer(), await startIssuer()];
    const token = await one.issue();
    const inner = jwtBearer({ issuer: two.url, audience: two.audience, tokenFrom: (req) => req.get('X-Inner') });
    const app = express();
    app.get(
      '/',
      jwtBearer({ issuer: one.url, audience: one.audience, tokenFrom: (req) => req.get('X-Outer') }),
      inner,
      who,
    );
    const answer = await supertest(app)
      .get('/')
      .set('X-Outer', token)
      .set('X-Inner', await two.issue());
    expect([answer.status, answer.body]).toEqual([200, two.url]);
    const swapped = await supertest(app).get('/').set('X-Outer', token).set('X-Inner', token);
    expect([swapped.status, challengesOf(swapped)[0]?.parameters.error]).toEqual([401, 'invalid_token']);
  });

  it('keeps the challenge when the framework’s own error handler answers', async () => {
    const issuer = await startIssuer();
    const app = express();
    app.use(authenticate(issuer, 'next'), who);
    const answer = await supertest(app).get('/').set('Authorization', 'Bearer bad');
    expect([answer.status, challengesOf(answer)[0]?.parameters.error]).toEqual([401, 'invalid_token']);
    const good = await supertest(app)
      .get('/')
      .set('Authorization', `Bearer ${await issuer.issue()}`);
    expect(good.status).toBe(200);
  });

  it('makes a gate without authentication a 500 of the framework’s', async () => {
    let runs = 0;
    const app = express();
    app.get('/', requireScopes('a'), () => runs++);
    const answer = await supertest(app).get('/');
    expect([answer.status, answer.headers['www-authenticate'], runs]).toEqual([500, undefined, 0]);
  });
});
