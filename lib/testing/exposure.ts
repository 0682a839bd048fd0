import { type Handler, handlersFor, type Layer, methodsOf } from './express-layers.js';
import { displayPath, joinPaths, samplesOf } from './sample-paths.js';

/** Whether requests without authentication reach a route. */
export type Exposure = 'protected' | 'open' | 'not examined';

/** A route, or another function, and the routers that lead to it. */
export interface Target {
  /** The mounted routers from the outermost one, and the layer itself. */
  readonly chain: readonly [Layer, ...Layer[]];
  /** The full paths to show. */
  readonly paths: readonly string[];
  readonly isRoute: boolean;
}

/** The exposure of a target for one method. */
export interface MethodExposure {
  /** In upper case; `undefined` for every method. */
  readonly method: string | undefined;
  readonly exposure: Exposure;
  /** What cannot be examined. */
  readonly what?: string | undefined;
}

/** All routes and functions that a request can reach, except those of this package and error handlers. */
export function targetsOf(layers: readonly Layer[], parents: readonly Layer[] = []): Target[] {
  return layers.flatMap((layer) => {
    const chain: [Layer, ...Layer[]] = [layer];
    chain.unshift(...parents);
    if (layer.layers !== undefined) return targetsOf(layer.layers, chain);
    const isRoute = layer.route !== undefined;
    if (!isRoute && layer.handler?.role !== 'unknown') return [];
    const paths = fullPathsOf(chain);
    return [{ chain, paths: layer.paths === undefined ? paths : paths.map(displayPath), isRoute }];
  });
}

/** Every path below every path of its routers. */
function fullPathsOf(chain: readonly Layer[]): string[] {
  return chain.reduce<string[]>(
    (prefixes, { paths, pattern }) =>
      prefixes.flatMap((prefix) =>
        (paths ?? [pattern?.replace(/^\w+ /, '') ?? '(hidden path)']).map((path) => joinPaths(prefix, path)),
      ),
    [''],
  );
}

/** The exposure of a target for each of its methods. */
export function exposuresOf(layers: readonly Layer[], { chain, paths }: Target): MethodExposure[] {
  const samples = chain.every((layer) => layer.paths !== undefined) ? fullPathsOf(chain).flatMap(samplesOf) : [];
  const target = chain.at(-1);
  const { route, handler } = target ?? {};
  const visits = (method: string | undefined): Visit[] => {
    const reached = samples
      .map((path) => visitByPath(layers, chain, path, method))
      .filter((visit) => visit !== undefined);
    // Without paths that lead there, the patterns of the layers are compared.
    return reached.length > 0 ? reached : [visitByPattern(layers, chain, method)];
  };
  if (handler !== undefined) {
    const isProtected = visits(undefined).every((visit) => visit.isProtected);
    return isProtected ? [] : [{ method: undefined, exposure: 'not examined', what: describeFunction(handler) }];
  }
  const isHidden = paths.some((path) => path.includes('(hidden path)'));
  return methodsOf(route ?? []).flatMap((method) => {
    const all = visits(method).map((visit) => exposureOfRoute(handlersFor(route ?? [], method), visit, isHidden));
    const worst = (['open', 'not examined', 'protected'] as const).flatMap(
      (exposure) => all.find((each) => each?.exposure === exposure) ?? [],
    );
    return worst.slice(0, 1).map((each) => ({ ...each, method: method?.toUpperCase() }));
  });
}

/** `undefined` for a route that has no function of the application. */
function exposureOfRoute(
  handlers: readonly Handler[],
  visit: Visit,
  isHidden: boolean,
): Pick<MethodExposure, 'exposure' | 'what'> | undefined {
  let last: Exposure | undefined;
  let early: Handler | undefined;
  for (const handler of handlers) {
    if (handler.role === 'unknown') {
      last = visit.isProtected ? 'protected' : 'open';
      if (last === 'open') early = handler;
    } else visit.pass(handler);
  }
  if (last === undefined) return undefined;
  if (last === 'open') {
    const what = 'the path of its router is not known';
    return visit.isUndecided || isHidden ? { exposure: 'not examined', what } : { exposure: 'open' };
  }
  if (early === undefined) return { exposure: 'protected' };
  return { exposure: 'not examined', what: `${describeFunction(early)} before the authentication` };
}

/** What has happened to a request on its way. */
class Visit {
  #hasAuthentication = false;
  #isProtected = false;
  /** A middleware may protect it, but its path cannot be compared. */
  isUndecided = false;

  get isProtected(): boolean {
    return this.#isProtected;
  }

  pass({ role }: Handler): void {
    if (role === 'authentication') this.#isProtected = true;
    if (role === 'authentication' || role === 'optional authentication') this.#hasAuthentication = true;
    // A gate rejects requests that an optional middleware accepted without credentials.
    if (role === 'gate' && this.#hasAuthentication) this.#isProtected = true;
  }
}

/** Follows a path to the end of the chain; `undefined` if it does not lead there. */
function visitByPath(
  layers: readonly Layer[],
  chain: readonly Layer[],
  path: string,
  method: string | undefined,
): Visit | undefined {
  const visit = new Visit();
  const walk = (stack: readonly Layer[], rest: string, [next, ...others]: readonly Layer[]): boolean => {
    for (const layer of stack) {
      const below = layer.restOf(rest);
      if (layer === next) {
        if (below === undefined || others.length === 0) return below !== undefined;
        return walk(layer.layers ?? [], below, others);
      }
      if (below !== undefined) passThrough(layer, below);
    }
    return false;
  };
  const passThrough = (layer: Layer, below: string): void => {
    for (const handler of handlersOf(layer, method)) visit.pass(handler);
    for (const inner of layer.layers ?? []) {
      const rest = inner.restOf(below);
      if (rest !== undefined) passThrough(inner, rest);
    }
  };
  return walk(layers, path, chain) ? visit : undefined;
}

/** Follows the chain, and counts only layers that match wherever the next layer of the chain matches. */
function visitByPattern(layers: readonly Layer[], chain: readonly Layer[], method: string | undefined): Visit {
  const visit = new Visit();
  let stack = layers;
  for (const next of chain) {
    for (const layer of stack.slice(0, stack.indexOf(next))) {
      const isSame = layer.pattern !== undefined && layer.pattern === next.pattern;
      if (layer.isEverywhere || isSame) passEverywhere(layer, method, visit);
      else if (canProtect(layer)) visit.isUndecided = true;
    }
    stack = next.layers ?? [];
  }
  return visit;
}

function passEverywhere(layer: Layer, method: string | undefined, visit: Visit): void {
  for (const handler of handlersOf(layer, method)) visit.pass(handler);
  for (const inner of layer.layers ?? []) {
    if (inner.isEverywhere) passEverywhere(inner, method, visit);
    else if (canProtect(inner)) visit.isUndecided = true;
  }
}

function handlersOf({ route, handler }: Layer, method: string | undefined): readonly Handler[] {
  if (route !== undefined) return handlersFor(route, method);
  return handler === undefined ? [] : [handler];
}

function canProtect(layer: Layer): boolean {
  const handlers = [...(layer.route ?? []), ...(layer.handler === undefined ? [] : [layer.handler])];
  return (
    handlers.some(({ role }) => role !== 'unknown' && role !== 'error handler') || (layer.layers ?? []).some(canProtect)
  );
}

function describeFunction({ name }: Handler): string {
  // The name of the function with which Express mounts an application.
  if (name === 'mounted_app') return 'an application; pass it to assertProtected too';
  return name === 'anonymous' ? 'a function' : `the function ${name}`;
}
