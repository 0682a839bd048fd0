// The folder exists after `scenarios/listeners.js` created it.
import { getAuth, jwtBearer } from '../node_modules/express-resource-server/dist-without-channels/index.js';

export function make({ issuer, audience }) {
  return { middleware: jwtBearer({ issuer, audience }), clientOf: (req) => getAuth(req).clientId };
}
