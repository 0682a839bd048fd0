import { deserialize, serialize } from 'node:v8';

/** `structuredClone`, which test environments such as an older jsdom do not have. */
export const cloneValue: typeof structuredClone =
  typeof structuredClone === 'function' ? structuredClone : (value) => deserialize(serialize(value)) as typeof value;
