// The suite imports `globSync`, which Node 20 does not have, for a command that is not run here.
import { register } from 'node:module';

const url = (code) => `data:text/javascript,${encodeURIComponent(code)}`;

const fs = url(`
  export * from 'node:fs';
  export { default } from 'node:fs';
  export const globSync = undefined;
`);

register(
  url(`
    export function resolve(specifier, context, next) {
      const isOfSuite = context.parentURL?.includes('/@modelcontextprotocol/conformance/') === true;
      return isOfSuite && specifier === 'fs' ? { url: ${JSON.stringify(fs)}, shortCircuit: true } : next(specifier, context);
    }
  `),
);
