/** A flood of well-formed tokens with a wrong signature: each must be verified before it is rejected. */
import { CRYPTO_VERIFY } from '../contenders/index.js';
import { flood } from './flood.js';

export const title = 'Flood of invalid signatures, 5 % valid (HTTP, 50 connections)';

export const run = (plan) => flood(plan, CRYPTO_VERIFY, (mint, count) => mint.forged(count));
