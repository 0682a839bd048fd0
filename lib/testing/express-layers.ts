import { METHODS } from 'node:http';
import { descriptionOf } from '../express/bearer-description.js';
import { isGate } from '../express/gate.js';

/** What a function of the application does to a request, as far as it is known. */
export type Role = 'authentication' | 'optional authentication' | 'gate' | 'error handler' | 'unknown';

/** A function of a route. */
export interface Handler {
  readonly role: Role;
  readonly name: string;
  /** In lower case; `undefined` for `all`. */
  readonly method: string | undefined;
}

/** One entry of a router: a route, a router that is mounted, or another function. */
export interface Layer {
  /** The paths of the layer as the application passed them; `undefined` if one is not a string. */
  readonly paths: readonly string[] | undefined;
  /** Equal for layers that match the same requests; `undefined` if the router hides its paths. */
  readonly pattern: string | undefined;
  /** Matches every path. */
  readonly isEverywhere: boolean;
  /** The functions of a route. */
  readonly route: readonly Handler[] | undefined;
  /** The layers of a router. */
  readonly layers: readonly Layer[] | undefined;
  /** Any other function. */
  readonly handler: Handler | undefined;
  /** The rest of a path that the layer matches, for the layers below it; `undefined` for another path. */
  readonly restOf: (path: string) => string | undefined;
}

/** The layers of an application or a router of Express 4 or 5; `undefined` for any other value. */
export function layersOf(app: unknown): readonly Layer[] | undefined {
  const own = stackOf(app);
  if (own !== undefined) return own.map(readLayer);
  if (typeof app !== 'function') return undefined;
  // Express 4 creates its router with the first route, and `app.router` throws there.
  if (typeof member(app, 'lazyrouter') === 'function') {
    const stack = stackOf(member(app, '_router')) ?? [];
    return stack.filter((layer, i) => i > 1 || !isOfExpress(layer)).map(readLayer);
  }
  return stackOf(member(app, 'router'))?.map(readLayer);
}

/** The methods of a route, `undefined` for `all`. */
export function methodsOf(handlers: readonly Handler[]): (string | undefined)[] {
  return [...new Set(handlers.map(({ method }) => method))];
}

/** The functions of a route that run for a method. HEAD runs those of GET, unless the route has its own (Express). */
export function handlersFor(handlers: readonly Handler[], method: string | undefined): readonly Handler[] {
  const hasHead = handlers.some((handler) => handler.method === 'head');
  const wanted = method === 'head' && !hasHead ? 'get' : method;
  return handlers.filter((handler) => handler.method === undefined || handler.method === wanted);
}

function readLayer(layer: object): Layer {
  const handle = member(layer, 'handle');
  const route = member(layer, 'route');
  const routeStack = stackOf(route);
  const layers = routeStack === undefined ? stackOf(handle)?.map(readLayer) : undefined;
  const raw = routeStack === undefined ? rawPathOf(layer) : member(route, 'path');
  const list: unknown[] = Array.isArray(raw) ? raw.flat(Infinity) : [raw];
  const paths = list.filter((path) => typeof path === 'string');
  const regexp = member(layer, 'regexp');
  const isEverywhere =
    member(layer, 'slash') === true ||
    member(regexp, 'fast_slash') === true ||
    member(regexp, 'fast_star') === true ||
    paths.some((path) => /^(?:\*|\/?\{\/?\*\w+\})$/.test(path));
  return {
    paths: isEverywhere && routeStack === undefined ? ['/'] : paths.length === list.length ? paths : undefined,
    pattern:
      raw === undefined ? undefined : `${routeStack === undefined ? 'use' : 'route'} ${list.map(String).join(' ')}`,
    isEverywhere,
    route: routeStack === undefined ? undefined : readRoute(routeStack),
    layers,
    handler: routeStack === undefined && layers === undefined ? readHandler(handle, undefined) : undefined,
    restOf: (path) => restOf(layer, path),
  };
}

function readRoute(stack: readonly object[]): readonly Handler[] {
  const handlers = stack.map((layer) => readHandler(member(layer, 'handle'), member(layer, 'method')));
  // `app.all` adds its functions once for each method.
  const ofGet = handlers.filter(({ method }) => method === 'get');
  const isForAll = methodsOf(handlers).length === METHODS.length && handlers.length === METHODS.length * ofGet.length;
  return isForAll ? ofGet.map((handler) => ({ ...handler, method: undefined })) : handlers;
}

function readHandler(handle: unknown, method: unknown): Handler {
  const name = typeof handle === 'function' && handle.name !== '' ? handle.name : 'anonymous';
  return { role: roleOf(handle), name, method: typeof method === 'string' ? method : undefined };
}

function roleOf(handle: unknown): Role {
  const description = descriptionOf(handle);
  if (description !== undefined) return description.isOptional ? 'optional authentication' : 'authentication';
  if (isGate(handle)) return 'gate';
  // Express calls functions with four parameters only for errors.
  return typeof handle === 'function' && handle.length === 4 ? 'error handler' : 'unknown';
}

/** The path that `use` received: the router of Express 5 stores it, Express 4 stores only the regular expression. */
function rawPathOf(layer: object): unknown {
  const rawPath = member(layer, 'rawPath');
  if (rawPath !== undefined) return rawPath;
  if (member(layer, 'slash') === true) return '/';
  const regexp = member(layer, 'regexp');
  if (!(regexp instanceof RegExp)) return undefined;
  const keys = member(layer, 'keys');
  const names = (Array.isArray(keys) ? keys : []).map((key) => String(member(key, 'name')));
  const paths = regexp.source.split('|^').map((source) => decodePath(source, names));
  return paths.every((path) => path !== undefined) ? paths : regexp;
}

/** The end of the regular expressions that Express 4 makes for `use`. */
const PREFIX_END = '\\/?(?=\\/|$)';
/** A parameter or a wildcard in them. */
const PARAMETER = /\(\?:(\\\/)?\((?:[^()\\]|\\.)*\)\)(\?)?|\(\.\*\)/g;

function decodePath(source: string, names: string[]): string | undefined {
  if (!source.endsWith(PREFIX_END)) return undefined;
  const body = source.slice(0, -PREFIX_END.length).replace(/^\^/, '');
  const path = body.replaceAll(PARAMETER, (match, slash?: string, optional = '') => {
    const name = names.shift() ?? '';
    return match === '(.*)' ? '\\*' : `${slash === undefined ? '' : '\\/'}\\:${name}${optional === '' ? '' : '\\?'}`;
  });
  // Anything else than escaped and plain characters is a regular expression of the application.
  return /^(?:\\[^a-z0-9]|[^\\()[\]{}?*+^$|.])*$/i.test(path) ? path.replaceAll(/\\(.)/g, '$1') || '/' : undefined;
}

function restOf(layer: object, path: string): string | undefined {
  const match = member(layer, 'match');
  const result: unknown = typeof match === 'function' ? Reflect.apply(match, layer, [path]) : false;
  if (result === false || result === undefined || result === null) return undefined;
  // The router of Express 5.3 returns the path that it matched; older ones store it.
  const matched = member(typeof result === 'object' ? result : layer, 'path');
  if (typeof matched !== 'string' || !path.startsWith(matched)) return undefined;
  const rest = path.slice(matched.length);
  // Express does not call the layer if the path continues in the middle of a segment.
  if (rest !== '' && !rest.startsWith('/')) return undefined;
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** The two middlewares with which every router of an Express 4 application begins. */
function isOfExpress(layer: object): boolean {
  return ['query', 'expressInit'].includes(String(member(layer, 'name')));
}

function stackOf(value: unknown): readonly object[] | undefined {
  const stack = member(value, 'stack');
  return Array.isArray(stack) ? stack.filter((layer) => typeof layer === 'object' && layer !== null) : undefined;
}

function member(value: unknown, name: string): unknown {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return isObject ? (Reflect.get(value, name) as unknown) : undefined;
}
