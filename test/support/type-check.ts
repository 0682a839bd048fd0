import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface CheckOptions {
  /** The major version of Express whose types are used. @default 5 */
  express?: 4 | 5;
  /** Files that are not on disk: path below the checkout, and text. */
  virtual?: Readonly<Record<string, string>>;
  /** Files of the checkout. */
  files?: readonly string[];
}

export interface Checked {
  readonly program: ts.Program;
  /** The messages of the compiler about the given files: `file:line message`. */
  readonly errors: readonly string[];
}

const EXPRESS_4 = './node_modules/@types/express4';
const EXPRESS_4_PATHS = {
  express: [`${EXPRESS_4}/index.d.ts`],
  'express-serve-static-core': [`${EXPRESS_4}/node_modules/@types/express-serve-static-core/index.d.ts`],
};

/** Type-checks files in one program with the strictness of this project, as a user would. */
export function check({ express = 5, virtual = {}, files = [] }: CheckOptions): Checked {
  const options = readOptions();
  if (express === 4) options.paths = { ...options.paths, ...EXPRESS_4_PATHS };
  const texts = new Map(Object.entries(virtual).map(([file, text]) => [join(ROOT, file), text]));
  const given = [...texts.keys(), ...files.map((file) => join(ROOT, file))];
  const program = ts.createProgram(given, options, hostWith(texts, options));
  const errors = given
    .flatMap((file) => ts.getPreEmitDiagnostics(program, program.getSourceFile(file)))
    .map((diagnostic) => describe(diagnostic));
  return { program, errors: [...new Set(errors)] };
}

function readOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (file) => ts.sys.readFile(file)) as {
    config: { compilerOptions: unknown };
  };
  const { options, errors } = ts.convertCompilerOptionsFromJson(config.compilerOptions, ROOT);
  if (errors.length > 0) throw new Error(errors.map((error) => describe(error)).join('\n'));
  // convertCompilerOptionsFromJson does not know the folder of the file, so `paths` must be converted here.
  return { ...options, pathsBasePath: ROOT };
}

function hostWith(texts: ReadonlyMap<string, string>, options: ts.CompilerOptions): ts.CompilerHost {
  const host = ts.createCompilerHost(options);
  return {
    ...host,
    fileExists: (file) => texts.has(file) || host.fileExists(file),
    readFile: (file) => texts.get(file) ?? host.readFile(file),
    getSourceFile: (file, settings, ...rest) => {
      const text = texts.get(file);
      return text === undefined
        ? host.getSourceFile(file, settings, ...rest)
        : ts.createSourceFile(file, text, settings);
    },
  };
}

function describe({ file, start, messageText }: ts.Diagnostic): string {
  const message = ts.flattenDiagnosticMessageText(messageText, ' ');
  if (file === undefined) return message;
  const line = file.getLineAndCharacterOfPosition(start ?? 0).line + 1;
  return `${file.fileName.slice(ROOT.length)}:${line} ${message}`;
}
