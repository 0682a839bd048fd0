import { describe, expect, it } from '@jest/globals';
import express5 from 'express';
import express4 from 'express4';
import { jwtBearer, type Middleware, requireMachine, requireScopes } from 'express-resource-server';
import { assertProtected, fakeAuth, type ProtectionReport } from 'express-resource-server/testing';

// One type for both: what is used here is the same.
const VERSIONS = [
  { version: 4, express: express4 as unknown as typeof express5 },
  { version: 5, express: express5 },
];
const options = { issuer: 'https://auth.example.com', audience: 'https://api.example.com' };
const authenticate = (): Middleware => jwtBearer(options);
const optional = (): Middleware => jwtBearer({ ...options, optional: true });

function handler(): never {
  throw new Error('assertProtected ran a handler');
}

function validate(): never {
  return handler();
}

/** The lines of the error: the routes that are open. */
function openRoutes(app: express5.Express | express5.Router, except?: string[]): string[] {
  try {
    assertProtected(app, { except });
    return [];
  } catch (error) {
    const [head, ...lines] = (error as Error).message.split('\n\n')[0]?.split('\n') ?? [];
    expect(head).toMatch(/reachable without authentication:$/);
    return lines;
  }
}

function protectedRoutes(app: express5.Express | express5.Router): ProtectionReport['protected'] {
  return assertProtected(app).protected;
}

describe.each(VERSIONS)('assertProtected() with Express $version', ({ version, express }) => {
  it('accepts an application whose routes are all behind authentication', () => {
    const app = express();
    app.use(authenticate());
    app.get('/', handler);
    app.post('/orders/:id', requireScopes('orders:write'), handler);
    expect(protectedRoutes(app)).toEqual(['GET /', 'POST /orders/:id']);
  });

  it('reports each open route on a line, with its method and full path', () => {
    const app = express();
    app.get('/before', handler);
    app.use('/api', authenticate());
    app.get('/api/orders', handler);
    app.get('/apiorders', handler);
    app.put('/after/:id', handler);
    expect(openRoutes(app)).toEqual(['GET /before', 'GET /apiorders', 'PUT /after/:id']);
    expect(() => assertProtected(app)).toThrow(/^3 routes are reachable without authentication:\nGET \/before\n/);
  });

  it('follows nested routers and their mount paths', () => {
    const [app, api, orders, open] = [express(), express.Router(), express.Router(), express.Router()];
    orders.get('/', handler).get('/:id', handler).delete('/:id', handler);
    open.get('/status', handler);
    api.use('/orders', authenticate(), orders);
    api.use('/open/:region', open);
    app.use('/v1', api);
    expect(openRoutes(app)).toEqual(['GET /v1/open/:region/status']);
    expect(openRoutes(orders)).toEqual(['GET /', 'GET /:id', 'DELETE /:id']);
    app.use('/v2', authenticate(), orders, open);
    expect(openRoutes(app, ['/v1/open/:region/status'])).toEqual([]);
  });

  it('counts authentication inside a router for its routes, and for what follows only where the router is mounted', () => {
    const [app, router] = [express(), express.Router()];
    router.use(authenticate());
    router.get('/orders', handler);
    app.use('/api', router);
    app.get('/api/late', handler);
    app.get('/other', handler);
    expect(openRoutes(app)).toEqual(['GET /other']);
  });

  it('examines each method of router.route() and router.all()', () => {
    const app = express();
    app.route('/a').all(authenticate()).get(handler).post(handler);
    app.route('/b').get(authenticate(), handler).post(handler);
    app.route('/c').get(handler).all(authenticate()).put(handler);
    app.all('/d', handler);
    app.all('/e', authenticate(), handler);
    app.all('/f', authenticate());
    app.use(express.Router().all('/f', handler).all('/g', handler));
    expect(openRoutes(app)).toEqual(['POST /b', 'GET /c', 'ALL /d', 'ALL /g']);
  });

  it('examines arrays of handlers and of paths', () => {
    const app = express();
    app.get('/a', [authenticate(), requireScopes('a')], [handler]);
    app.get(['/b', '/c'], [handler]);
    app.use(['/d', '/e'], authenticate());
    app.get(['/d/:id', '/e/:id', '/f/:id'], handler);
    app.get(['/d/1', '/e/1'], handler);
    expect(openRoutes(app)).toEqual(['GET /b', 'GET /c', 'GET /d/:id', 'GET /e/:id', 'GET /f/:id']);
  });

  it('counts an earlier route as protection if all of its requests pass it', () => {
    const app = express();
    const everywhere = version === 4 ? '/api/*' : '/api/*rest';
    app.all(everywhere, authenticate());
    app.get('/api/orders', handler);
    app.get('/api', handler);
    app.get('/admin', authenticate());
    app.get('/admin', handler);
    app.post('/admin', handler);
    app.use('/users/:id', authenticate());
    app.get('/users/:id/orders', handler);
    app.get('/users', handler);
    expect(openRoutes(app)).toEqual(['GET /api', 'POST /admin', 'GET /users']);
  });

  it('does not count authentication that only one value of a parameter passes', () => {
    const app = express();
    app.use('/users/1', authenticate());
    app.get('/users/:id', handler);
    expect(openRoutes(app)).toEqual(['GET /users/:id']);
  });

  it('does not count authentication that another letter case avoids', () => {
    const app = express();
    const router = express.Router();
    app.enable('case sensitive routing');
    app.use('/orders', authenticate());
    router.get('/orders', handler);
    app.use(router);
    expect(openRoutes(app)).toEqual(['GET /orders']);
  });

  it('does not count authentication after the handler', () => {
    const app = express();
    app.get('/a', handler, authenticate());
    app.get('/b', handler);
    app.use(authenticate());
    expect(openRoutes(app)).toEqual(['GET /a', 'GET /b']);
  });

  it('does not count optional authentication, error handlers, fakeAuth, and gates without authentication', () => {
    const app = express();
    const onError: express5.ErrorRequestHandler = (_error, _req, _res, next) => {
      next();
    };
    app.get('/gate', requireMachine(), handler);
    app.get('/fake', fakeAuth(), handler);
    app.get('/error', onError, handler);
    app.use(optional());
    app.get('/optional', handler);
    app.get('/behind-gate', requireScopes('a'), handler);
    app.use(requireMachine());
    app.get('/behind-both', handler);
    expect(openRoutes(app)).toEqual(['GET /gate', 'GET /fake', 'GET /error', 'GET /optional']);
  });

  it('excepts routes by their path, for all methods or one', () => {
    const app = express();
    app.get('/health', handler).post('/health', handler);
    app.get('/files/:id', handler).put('/files/:id', handler);
    expect(openRoutes(app, ['/health', 'GET /files/:id'])).toEqual(['PUT /files/:id']);
    expect(() => assertProtected(app, { except: ['health'] })).toThrow(/except: expected an array of paths/);
  });

  it('lists functions and applications that it cannot examine, unless they are behind authentication', () => {
    const app = express();
    app.use(express.json());
    app.use('/files', express.static('.'));
    app.use('/admin', express());
    app.get('/orders', validate, authenticate(), handler);
    app.use(authenticate());
    app.use('/private', express.static('.'));
    expect(assertProtected(app)).toEqual({
      protected: [],
      notExamined: [
        '/: the function jsonParser',
        '/files: the function serveStatic',
        '/admin: an application; pass it to assertProtected too',
        'GET /orders: the function validate before the authentication',
      ],
    });
    expect(assertProtected(app, { except: ['/files', '/admin', '/'] }).notExamined).toHaveLength(1);
  });

  it('names what it did not examine in the error too', () => {
    const app = express();
    app.use('/files', express.static('.'));
    app.get('/open', handler);
    expect(() => assertProtected(app)).toThrow(
      'One route is reachable without authentication:\nGET /open\n\nNot examined:\n/files: the function serveStatic',
    );
  });

  it('examines paths that are regular expressions', () => {
    const [app, router] = [express(), express.Router()];
    router.get('/orders', handler);
    app.get(/^\/x/, handler);
    app.use(/^\/v\d+/, authenticate(), router);
    app.use(/^\/w\d+/, router);
    app.use('/all', authenticate());
    app.use('/all', router);
    app.get(/^\/y/, authenticate(), handler);
    expect(openRoutes(app, ['/health'])).toEqual(['GET /^\\/x/']);
  });

  it('examines routes with optional parts', () => {
    const app = express();
    const path = version === 4 ? '/orders/:id?' : '/orders{/:id}';
    app.get(path, handler);
    app.use('/orders/:id', authenticate());
    app.put(path, handler);
    app.use('/orders', authenticate());
    app.post(path, handler);
    expect(openRoutes(app)).toEqual([`GET ${path}`, `PUT ${path}`]);
  });

  it('recognises the middlewares of another copy of the package', () => {
    const app = express();
    const copy = (middleware: Middleware): Middleware => {
      const other: Middleware = (req, res, next) => {
        middleware(req, res, next);
      };
      const properties = Object.getOwnPropertySymbols(middleware).map((key): [symbol, PropertyDescriptor] => {
        return [Symbol.for(Symbol.keyFor(key) ?? ''), Object.getOwnPropertyDescriptor(middleware, key) ?? {}];
      });
      return Object.defineProperties(other, Object.fromEntries(properties));
    };
    app.get('/a', copy(authenticate()), handler);
    app.get('/b', copy(optional()), copy(requireMachine()), handler);
    app.get('/c', copy(optional()), handler);
    expect(openRoutes(app)).toEqual(['GET /c']);
  });

  it('accepts an application without routes', () => {
    expect(assertProtected(express())).toEqual({ protected: [], notExamined: [] });
  });
});

it('lists routers that hide their path as not examined, unless they are behind authentication everywhere', () => {
  const [app, api, own] = [express5(), express5.Router(), express5.Router()];
  api.get('/orders', handler);
  own.use(authenticate());
  own.get('/own', handler);
  app.use('/api', authenticate(), api);
  app.use('/own', own);
  // As routers before 2.3, which do not store the path.
  for (const layer of app.router.stack) Reflect.deleteProperty(layer, 'rawPath');
  const { notExamined, protected: found } = assertProtected(app);
  expect(notExamined).toEqual(['GET /(hidden path)/orders: the path of its router is not known']);
  expect(found).toEqual(['GET /(hidden path)/own']);
});

it.each([{}, undefined, () => 0, 'app'])('assertProtected() rejects %p, which is no application', (value) => {
  const call = (): unknown => Reflect.apply(assertProtected, undefined, [value]);
  expect(call).toThrow(/expected an application or a router/);
});
