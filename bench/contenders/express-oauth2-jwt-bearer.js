import { auth } from 'express-oauth2-jwt-bearer';

export function make({ issuer, audience }) {
  return { middleware: auth({ issuerBaseURL: issuer, audience }), clientOf: (req) => req.auth.payload.client_id };
}
