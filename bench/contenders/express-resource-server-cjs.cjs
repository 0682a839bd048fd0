/** The CommonJS build. */
const { getAuth, jwtBearer } = require('express-resource-server');

exports.make = ({ issuer, audience }) => ({
  middleware: jwtBearer({ issuer, audience }),
  clientOf: (req) => getAuth(req).clientId,
});
