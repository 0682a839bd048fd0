/**
 * The parts of an authorization server that a resource server calls: metadata, keys and introspection. It counts the
 * requests.
 */
import { createServer } from 'node:http';
import { URLSearchParams } from 'node:url';

let jwks = '{"keys":[]}';
let jwksRequests = 0;
let introspections = 0;
/** The introspection responses, by token. */
const infos = new Map();

const server = createServer((req, res) => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  res.setHeader('Content-Type', 'application/json');
  if (req.url.startsWith('/.well-known/jwks.json')) {
    jwksRequests++;
    res.end(jwks);
  } else if (req.method === 'POST' && req.url === '/introspect') {
    introspections++;
    introspect(req, res);
  } else if (/^\/\.well-known\/(openid-configuration|oauth-authorization-server)$/.test(req.url)) {
    const jwksUri = `${issuer}/.well-known/jwks.json`;
    res.end(
      JSON.stringify({
        issuer,
        jwks_uri: jwksUri,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        introspection_endpoint: `${issuer}/introspect`,
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

function introspect(req, res) {
  let body = '';
  req.setEncoding('latin1');
  req.on('data', (chunk) => (body += chunk));
  req.on('end', () => res.end(infos.get(new URLSearchParams(body).get('token')) ?? '{"active":false}'));
}

const methods = {
  start({ keys }) {
    jwks = JSON.stringify({ keys });
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
  },
  register(message) {
    for (const [token, info] of message.infos) infos.set(token, JSON.stringify(info));
  },
  jwksRequests: () => jwksRequests,
  introspections: () => introspections,
};

process.on('message', async ({ id, method, ...parameters }) => {
  process.send({ id, result: await methods[method](parameters) });
});
process.on('disconnect', () => process.exit());
