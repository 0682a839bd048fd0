import { describe, expect, it } from '@jest/globals';
import { check } from '../support/type-check.js';

const MINUTE = 60_000;
const fixture = 'test/support/typed-middleware.ts';

const handler = (statement: string, ...imports: string[]): string => `
  import express from 'express';
  ${imports.map((name) => `import '${name}';`).join('\n')}
  express().get('/', (req, res) => { res.json({ scopes: ${statement} }); });
`;

describe.each([4, 5] as const)('with the types of Express %i', (version) => {
  it(
    'types middlewares, gates and handlers, and reports wrong usage',
    () => {
      const { program, errors } = check({ express: version, files: [fixture] });
      expect(errors).toEqual([]);
      const used = program.getSourceFiles().map(({ fileName }) => /\/@types\/(express4?)\/index/.exec(fileName)?.[1]);
      expect(used.filter((name) => name !== undefined)).toEqual([version === 4 ? 'express4' : 'express']);
    },
    MINUTE,
  );

  it(
    'types req.auth after an import of express-resource-server/augment',
    () => {
      const source = handler("req.auth?.scopes.includes('a')", 'express-resource-server/augment');
      expect(check({ express: version, virtual: { 'test/augmented.ts': source } }).errors).toEqual([]);
      const wrong = handler('req.auth?.scopes.length.length', 'express-resource-server/augment');
      expect(check({ express: version, virtual: { 'test/wrong.ts': wrong } }).errors).toHaveLength(1);
    },
    MINUTE,
  );

  it(
    'leaves req.auth to other packages without that import',
    () => {
      const source = handler('req.auth', 'express-resource-server');
      expect(check({ express: version, virtual: { 'test/not-augmented.ts': source } }).errors).toEqual([
        expect.stringContaining("Property 'auth' does not exist"),
      ]);
    },
    MINUTE,
  );
});
