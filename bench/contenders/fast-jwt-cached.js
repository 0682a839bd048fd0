import { make as makeUncached } from './fast-jwt.js';

/** With its cache at its default size. */
export function make(setting) {
  return makeUncached(setting, true);
}
