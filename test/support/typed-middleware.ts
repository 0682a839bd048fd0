/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-member-access,
   @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-class-instance-assignment --
   what is wrong on purpose has no type */
/** Where middlewares and gates stand, with the types of either major version of Express. */
import express, { type Request, Router } from 'express';
import {
  bearer,
  type CertificateSource,
  getAuth,
  introspectionBearer,
  jwtBearer,
  jwtVerifier,
  requireAnyScope,
  requireAuthentication,
  requireClaim,
  requireClient,
  requireMachine,
  requireScopes,
  requireThat,
  requireUser,
  type TokenVerifier,
} from 'express-resource-server';

const options = { issuer: 'https://auth.example.com', audience: 'https://api.example.com' };
const app = express();
const router = Router();

app.use(jwtBearer(options));
app.use([jwtBearer(options), requireMachine()]);
app.use('/api', jwtBearer(options));
app.use('/api', jwtBearer({ ...options, optional: true }), requireScopes('a'), router);
router.use(jwtBearer(options), requireMachine());
router.use(express.json(), jwtBearer({ ...options, audience: ['a', 'b'] as const }));

app.get('/orders/:id', jwtBearer(options), requireScopes('orders:read', 'orders:list'), (req, res) => {
  const id: string = req.params.id;
  // @ts-expect-error: behind a gate, the parameters of the path are still the known ones
  const other = req.params.other.length;
  res.json({ id, other });
});

router
  .route('/items/:item/parts/:part')
  .get(requireAnyScope('a', 'b'), requireClient('client-1'), requireUser(), (req, res) => {
    const path: [string, string] = [req.params.item, req.params.part];
    res.json(path);
  });

app.post(
  '/orders/:id',
  requireScopes('orders:write'),
  requireClaim('tenant', 'a'),
  requireClaim('level', [1, 2, null]),
  requireClaim('groups', (value) => Array.isArray(value)),
  requireThat(async (auth, req) => {
    const scopes: readonly string[] = auth.scopes;
    const path: string = req.path;
    return Promise.resolve(scopes.includes(path));
  }),
  requireThat((auth, req) => auth.clientId === req.get('x-client'), { scopes: ['a'] }),
  (req, res) => {
    interface DynamicIssuer {
      tenant: string;
    }
    const auth = getAuth<DynamicIssuer>(req);
    const tenant: string = auth.claims.tenant;
    const clientId: string | undefined = getAuth(req).clientId;
    const untold: unknown = getAuth(req).claims.tenant;
    // @ts-expect-error: claims that the type parameter does not name are not there
    const missing = auth.claims.other;
    // @ts-expect-error: what is not told about claims is unknown
    const assumed: string = getAuth(req).claims.tenant;
    // @ts-expect-error: a client id may be absent
    const present: string = auth.clientId;
    // @ts-expect-error: nothing of it can be changed
    auth.token = '';
    // @ts-expect-error: the claims neither
    auth.claims.tenant = '';
    // @ts-expect-error: nor the scopes
    auth.scopes.push('admin');
    res.json({ tenant, clientId, untold, missing, assumed, present });
  },
);

const verifier: TokenVerifier = jwtVerifier(options);
app.use(bearer(verifier), bearer(verifier, { errors: 'problem', tokenFrom: (req) => req.get('x-token') }));
app.use(bearer({ verify: async (token) => jwtVerifier(options).verify(token) }));

const certificate: CertificateSource<Request> = async (req) => Promise.resolve(req.get('x-cert'));
app.use(
  jwtBearer({ ...options, dpop: 'required', mtls: { mode: 'allowed', certificate }, baseUrl: 'https://a.example' }),
);
app.use(
  jwtBearer({ ...options, dpop: { mode: 'allowed', nonce: true, secret: new Uint8Array(32) }, profile: 'fapi2' }),
);
app.use(bearer(verifier, { mtls: { mode: 'required', certificate: { format: 'envoy' } }, profile: 'fapi2' }));

// @ts-expect-error: a mode is one of three
jwtBearer({ ...options, dpop: true });
// @ts-expect-error: with details the mode is said too
jwtBearer({ ...options, dpop: { nonce: true } });
// @ts-expect-error: a proxy writes one of four formats
jwtBearer({ ...options, mtls: { mode: 'allowed', certificate: { header: 'x', format: 'pem' } } });
const asked = { issuer: 'https://a.example', clientId: 'c', clientSecret: 's', audience: 'a' };
// @ts-expect-error: 'rfc9068' is for JWTs
introspectionBearer({ ...asked, profile: 'rfc9068' });
// @ts-expect-error: the audience is never left out
jwtBearer({ issuer: 'https://auth.example.com' });
// @ts-expect-error: nor is the issuer
jwtVerifier({ audience: 'https://api.example.com' });
// @ts-expect-error: true is no audience
jwtBearer({ ...options, audience: true });
// @ts-expect-error: an option is spelled as it is
jwtBearer({ ...options, clockTolerence: 5 });
// @ts-expect-error: "none" is no algorithm
jwtBearer({ ...options, algorithms: ['none'] });
// @ts-expect-error: there are three ways to answer
jwtBearer({ ...options, errors: 'throw' });
// @ts-expect-error: durations are numbers of seconds
jwtBearer({ ...options, keys: { timeout: '5s' } });
// @ts-expect-error: a function is no verifier
bearer((token: string) => token);
// @ts-expect-error: a verifier gives an AccessToken
bearer({ verify: (token: string) => Promise.resolve({ token }) });
// @ts-expect-error: scopes are strings
requireScopes(1);
// @ts-expect-error: scopes are arguments, not an array
requireScopes(['a', 'b']);
// @ts-expect-error: an object is no value of a claim
requireClaim('tenant', { id: 1 });
// @ts-expect-error: a predicate says yes or no
requireThat((auth) => auth.clientId);
// @ts-expect-error: a predicate that gives a promise says yes or no with it
requireThat((auth) => Promise.resolve(auth.clientId));
// @ts-expect-error: at least one scope
requireScopes();
// @ts-expect-error: one scope per argument
requireScopes('orders:read orders:write');
// @ts-expect-error: requireScopes must be called
app.get('/', requireScopes);
// @ts-expect-error: requireMachine must be called
app.use(requireMachine);
// @ts-expect-error: requireUser must be called
app.use(requireUser);
// @ts-expect-error: jwtBearer must be called
app.use(jwtBearer);
// @ts-expect-error: introspectionBearer must be called
app.use(introspectionBearer);
// @ts-expect-error: requireAuthentication must be called
app.use(requireAuthentication);
// @ts-expect-error: who is calling is asked of a request
getAuth(app);
