import { ConfigurationError } from '../errors.js';
import { describe, readOptions, type Rules, texts } from '../options.js';
import { type Exposure, exposuresOf, type Target, targetsOf } from './exposure.js';
import { type Layer, layersOf } from './express-layers.js';

/** Options of `assertProtected`. */
export interface AssertProtectedOptions {
  /**
   * The routes that are public on purpose, as they are reported: `/health` (all methods) or `GET /health`, parameters
   * included (`/files/:id`). @default none
   */
  except?: readonly string[] | undefined;
}

/** What `assertProtected` found. */
export interface ProtectionReport {
  /** The routes that only authenticated requests reach: `METHOD /full/path`. */
  readonly protected: readonly string[];
  /** What it cannot examine, although requests without authentication may reach it: `/full/path: what it is`. */
  readonly notExamined: readonly string[];
}

const rules: Rules<AssertProtectedOptions> = {
  except: texts(
    'an array of paths that begin with "/", each with or without a method before it',
    'Pass the routes as they are reported, such as ["/health", "GET /files/:id"].',
    (value) => /^(?:[A-Z-]+ )?\//.test(value),
  ),
};

/**
 * Checks that only authenticated requests reach the routes of an Express 4 or 5 application or router, nested routers
 * included. It runs no handler: it reads the routers and follows sample paths through them. A middleware of `jwtBearer`,
 * `introspectionBearer` or `bearer` is protection unless it is `optional`; a gate is protection only behind such a
 * middleware, optional or not. `fakeAuth` is none. Functions that it does not know are taken to call `next()`.
 *
 * It cannot examine functions that are mounted with `use` (also other applications and wrapped routers), functions of a
 * route before its authentication, and routers that hide their path: it lists those that are not behind authentication.
 *
 * @throws Error with one line `METHOD /full/path` for each route that is reachable without authentication. `ALL` stands
 * for every method.
 * @throws ConfigurationError for a value that is not an application or a router, or an option that is unknown or wrong.
 */
export function assertProtected(
  app: (...args: never[]) => unknown,
  options: AssertProtectedOptions = {},
): ProtectionReport {
  const { except = [] } = readOptions<AssertProtectedOptions>('assertProtected', options, rules);
  const layers = layersOf(app);
  if (layers === undefined) throw notAnApplication(app);
  const found = examine(layers).filter(({ method, path }) => !isExcepted(except, method, path));
  const lines = (exposure: Exposure): string[] => [
    ...new Set(found.filter((each) => each.exposure === exposure).map(({ line }) => line)),
  ];
  const [open, notExamined] = [lines('open'), lines('not examined')];
  if (open.length > 0) throw new Error(messageFor(open, notExamined));
  return { protected: lines('protected'), notExamined };
}

interface RouteResult {
  readonly method: string | undefined;
  readonly path: string;
  readonly exposure: Exposure;
  readonly line: string;
}

function examine(layers: readonly Layer[]): RouteResult[] {
  return targetsOf(layers).flatMap((target) =>
    exposuresOf(layers, target).flatMap(({ method, exposure, what }) =>
      target.paths.map((path) => ({ method, path, exposure, line: lineFor(target, method, path, what) })),
    ),
  );
}

function lineFor({ isRoute }: Target, method: string | undefined, path: string, what: string | undefined): string {
  const place = isRoute ? `${method ?? 'ALL'} ${path}` : path;
  return what === undefined ? place : `${place}: ${what}`;
}

function isExcepted(except: readonly string[], method: string | undefined, path: string): boolean {
  return except.some((each) => each === path || each === `${method ?? 'ALL'} ${path}`);
}

function messageFor(open: readonly string[], notExamined: readonly string[]): string {
  const head = open.length === 1 ? 'One route is' : `${open.length} routes are`;
  const others = notExamined.length === 0 ? [] : ['', 'Not examined:', ...notExamined];
  return [`${head} reachable without authentication:`, ...open, ...others].join('\n');
}

function notAnApplication(value: unknown): ConfigurationError {
  return new ConfigurationError({
    option: 'assertProtected: app',
    expected: 'an application or a router of Express 4 or 5',
    got: describe(value),
    fix: 'Pass what express() or express.Router() returned, after its routes are defined.',
  });
}
