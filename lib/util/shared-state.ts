/** State that all copies of the package in one process share (ESM and CommonJS, or two versions). */
export function sharedState<T extends object>(name: string, create: () => T): T {
  const key = Symbol.for(`express-resource-server.${name}`);
  const known = Reflect.get(globalThis, key) as T | undefined;
  if (known !== undefined) return known;
  const created = create();
  Reflect.set(globalThis, key, created);
  return created;
}
