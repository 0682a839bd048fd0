import { getAuth, jwtBearer } from 'express-resource-server';

export function make({ issuer, audience }) {
  return { middleware: jwtBearer({ issuer, audience }), clientOf: (req) => getAuth(req).clientId };
}
