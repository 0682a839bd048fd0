/** A flood of tokens with unknown key ids: the rejection must be cheap and cause few requests to the issuer. */
import { randomBytes } from 'node:crypto';
import { MAP_LOOKUP } from '../contenders/index.js';
import { flood } from './flood.js';

export const title = 'Flood of unknown kids, 5 % valid (HTTP, 50 connections)';

export const run = (plan) =>
  flood(plan, MAP_LOOKUP, async (mint, count) => {
    const signature = (await mint.valid()).split('.')[2];
    return Array.from(
      { length: count },
      () => `${mint.unsigned({}, { kid: randomBytes(8).toString('hex') })}.${signature}`,
    );
  });
