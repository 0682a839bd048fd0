import { subscribe } from 'node:diagnostics_channel';
import { make as makeOurs } from './express-resource-server.js';

export function make(setting) {
  let received = 0;
  for (const name of ['request.accepted', 'cache.hit']) {
    subscribe(`express-resource-server.${name}`, () => received++);
  }
  return makeOurs(setting);
}
