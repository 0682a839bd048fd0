import express5 from 'express';
import express4 from 'express4';
import { describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import { getAuth, jwtBearer, requireScopes } from '../../lib/index.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import { challengesOf, startIssuer } from '../support/helpers.js';

// One type for both versions: the parts that the tests use are the same.
const VERSIONS = [
  { version: 4, express: express4 as unknown as typeof express5 },
  { version: 5, express: express5 },
];

type App = ReturnType<typeof express5>;

const respondWithIssuer: express5.RequestHandler = (req, res) => {
  res.json(getAuth(req).issuer);
};

function authenticate(issuer: TestIssuer, errors: 'respond' | 'next' = 'respond'): ReturnType<typeof jwtBearer> {
  return jwtBearer({ issuer: issuer.url, audience: issuer.audience, errors });
}

async function statuses(app: App, path: string, issuer: TestIssuer): Promise<number[]> {
  const responses = [];
  for (const token of [undefined, 'bad', await issuer.issue(), await issuer.issue({ scope: 'a' })]) {
    const request = supertest(app).get(path);
    responses.push(await (token === undefined ? request : request.set('Authorization', `Bearer ${token}`)));
  }
  for (const response of responses.filter(({ status }) => status !== 200)) {
    expect(challengesOf(response)[0]?.scheme).toBe('Bearer');
    expect(response.headers['content-type']).toBe('application/json');
  }
  return responses.map(({ status }) => status);
}

describe.each(VERSIONS)('with Express $version', ({ express }) => {
  it('protects an application', async () => {
    const issuer = await startIssuer();
    const app = express();
    app.use(authenticate(issuer));
    app.get('/', requireScopes('a'), respondWithIssuer);
    expect(await statuses(app, '/', issuer)).toEqual([401, 401, 403, 200]);
  });

  it('protects a router and no other route', async () => {
    const issuer = await startIssuer();
    const app = express();
    const router = express.Router();
    router.use(authenticate(issuer), requireScopes('a'));
    router.get('/orders/:id', respondWithIssuer);
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
    app.get('/one', authenticate(issuer), requireScopes('a'), respondWithIssuer);
    app.get('/other', (_req, res) => {
      res.end();
    });
    expect(await statuses(app, '/one', issuer)).toEqual([401, 401, 403, 200]);
    expect((await supertest(app).get('/other')).status).toBe(200);
  });

  it('protects two parts with two issuers', async () => {
    const [one, two] = [await startIssuer(), await startIssuer()];
    const app = express();
    app.use('/one', authenticate(one), respondWithIssuer);
    app.use('/two', authenticate(two), respondWithIssuer);
    expect(await statuses(app, '/one', one)).toEqual([401, 401, 200, 200]);
    expect(await statuses(app, '/two', two)).toEqual([401, 401, 200, 200]);
    expect(await statuses(app, '/one', two)).toEqual([401, 401, 401, 401]);
    expect(await statuses(app, '/two', one)).toEqual([401, 401, 401, 401]);
  });

  it('applies two authentications to one route, and getAuth returns the last one', async () => {
    const [one, two] = [await startIssuer(), await startIssuer()];
    const token = await one.issue();
    const inner = jwtBearer({ issuer: two.url, audience: two.audience, tokenFrom: (req) => req.get('X-Inner') });
    const app = express();
    app.get(
      '/',
      jwtBearer({ issuer: one.url, audience: one.audience, tokenFrom: (req) => req.get('X-Outer') }),
      inner,
      respondWithIssuer,
    );
    const response = await supertest(app)
      .get('/')
      .set('X-Outer', token)
      .set('X-Inner', await two.issue());
    expect([response.status, response.body]).toEqual([200, two.url]);
    const swapped = await supertest(app).get('/').set('X-Outer', token).set('X-Inner', token);
    expect([swapped.status, challengesOf(swapped)[0]?.parameters.error]).toEqual([401, 'invalid_token']);
  });

  it('includes the challenge when the default error handler of Express responds', async () => {
    const issuer = await startIssuer();
    const app = express();
    app.use(authenticate(issuer, 'next'), respondWithIssuer);
    const response = await supertest(app).get('/').set('Authorization', 'Bearer bad');
    expect([response.status, challengesOf(response)[0]?.parameters.error]).toEqual([401, 'invalid_token']);
    const good = await supertest(app)
      .get('/')
      .set('Authorization', `Bearer ${await issuer.issue()}`);
    expect(good.status).toBe(200);
  });

  it('responds 500 to a gate without authentication', async () => {
    let runs = 0;
    const app = express();
    app.get('/', requireScopes('a'), () => runs++);
    const response = await supertest(app).get('/');
    expect([response.status, response.headers['www-authenticate'], runs]).toEqual([500, undefined, 0]);
  });
});
