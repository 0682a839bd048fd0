/**
 * The parts of an authorization server that a resource server calls: metadata, keys and introspection. It counts the
 * requests. Below any path, it is an issuer of its own with the same keys.
 */
import { createServer } from 'node:http';
import { URLSearchParams } from 'node:url';
import { serveMethods } from './methods.js';

const METADATA = /\/\.well-known\/(?:openid-configuration|oauth-authorization-server)/;

let jwks = '{"keys":[]}';
let jwksRequests = 0;
let introspections = 0;
/** The introspection responses, by token. */
const infos = new Map();

const server = createServer((req, res) => {
  res.setHeader('Content-Type', 'application/json');
  if (req.url.endsWith('/.well-known/jwks.json')) {
    jwksRequests++;
    res.end(jwks);
  } else if (req.method === 'POST' && req.url === '/introspect') {
    introspections++;
    introspect(req, res);
  } else if (METADATA.test(req.url)) {
    // The path of the issuer is before the well-known one in OpenID Connect, and after it in RFC 8414.
    res.end(JSON.stringify(metadataOf(`http://127.0.0.1:${server.address().port}${req.url.replace(METADATA, '')}`)));
  } else {
    res.statusCode = 404;
    res.end('{}');
  }
});

const metadataOf = (issuer) => ({
  issuer,
  jwks_uri: `${issuer}/.well-known/jwks.json`,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  introspection_endpoint: `${issuer}/introspect`,
  response_types_supported: ['code'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['RS256', 'ES256', 'EdDSA'],
});

function introspect(req, res) {
  let body = '';
  req.setEncoding('latin1');
  req.on('data', (chunk) => (body += chunk));
  req.on('end', () => res.end(infos.get(new URLSearchParams(body).get('token')) ?? '{"active":false}'));
}

serveMethods({
  start({ keys }) {
    jwks = JSON.stringify({ keys });
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
  },
  register(message) {
    for (const [token, info] of message.infos) infos.set(token, JSON.stringify(info));
  },
  counts: () => ({ jwksRequests, introspections }),
});
