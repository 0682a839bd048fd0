import type { Readable } from 'node:stream';

/** A stream that may be a terminal. */
export interface Output {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
  /** Of a terminal: whether it shows colors. Respects `NO_COLOR`, `NODE_DISABLE_COLORS` and `FORCE_COLOR`. */
  hasColors?(): boolean;
}

/** What a command reads from and writes to. */
export interface CommandIo {
  readonly stdin: Readable & { readonly isTTY?: boolean | undefined };
  readonly stdout: Output;
  readonly stderr: Output;
}

/** How a command ends: 0 accepted or healthy, 1 rejected or a failed check, 2 not determined or wrong usage. */
export type ExitStatus = 0 | 1 | 2;

const MAX_BYTES = 1_048_576;

/**
 * Reads one secret or token from standard input, without white space around it.
 *
 * @throws Error if there is more than a mebibyte.
 */
export async function readInput({ stdin, stderr }: CommandIo, what: string): Promise<string> {
  if (stdin.isTTY === true) stderr.write(`Paste ${what}, then press Enter and Ctrl+D:\n`);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk as Uint8Array | string);
    size += bytes.byteLength;
    if (size > MAX_BYTES) throw new Error(`standard input has more than ${MAX_BYTES} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString().trim();
}
