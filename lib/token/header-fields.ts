/** The parts of a request that header fields are read from; every Node request has them. */
export interface FieldSource {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Name, value, name, value …, as received: the only place where a repeated field is still seen. */
  readonly rawHeaders?: readonly string[] | undefined;
}

/** The value of a field that was sent once, `undefined` where it was not sent, `'several'` where it was sent again. */
export type Field = { readonly value: string } | 'several' | undefined;

/**
 * Reads a field that may be there once. Node keeps the first of several, or joins them, without a word, and a proxy in
 * front may have looked at another one. The name is in lower case.
 */
export function readField({ headers, rawHeaders }: FieldSource, name: string): Field {
  const value = headers[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || (rawHeaders !== undefined && countOf(rawHeaders, name) > 1)) return 'several';
  return { value };
}

function countOf(rawHeaders: readonly string[], name: string): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const each = rawHeaders[i];
    if (each?.length === name.length && each.toLowerCase() === name) count++;
  }
  return count;
}
