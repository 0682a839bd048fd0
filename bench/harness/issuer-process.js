/** An authorization server as far as a resource server sees it: metadata and keys, and a count of who asked for them. */
import { createServer } from 'node:http';

let jwks = '{"keys":[]}';
let jwksRequests = 0;

const server = createServer((req, res) => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  res.setHeader('Content-Type', 'application/json');
  if (req.url.startsWith('/.well-known/jwks.json')) {
    jwksRequests++;
    res.end(jwks);
  } else if (/^\/\.well-known\/(openid-configuration|oauth-authorization-server)$/.test(req.url)) {
    const jwksUri = `${issuer}/.well-known/jwks.json`;
    res.end(
      JSON.stringify({
        issuer,
        jwks_uri: jwksUri,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256', 'ES256', 'EdDSA'],
      }),
    );
  } else {
    res.statusCode = 404;
    res.end('{}');
  }
});

process.on('message', ({ id, ask, keys }) => {
  if (ask === 'start') {
    jwks = JSON.stringify({ keys });
    server.listen(0, '127.0.0.1', () => process.send({ id, answer: server.address().port }));
  } else {
    process.send({ id, answer: jwksRequests });
  }
});
process.on('disconnect', () => process.exit());
