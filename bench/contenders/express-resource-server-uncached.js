import { getAuth, jwtBearer } from 'express-resource-server';

export function make({ issuer, audience }) {
  return { middleware: jwtBearer({ issuer, audience, cache: false }), clientOf: (req) => getAuth(req).clientId };
}
