/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-member-access,
   @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-class-instance-assignment --
   what is wrong on purpose has no type */
/** The places of middlewares and gates, with the types of either major version of Express. */
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
  // @ts-expect-error: behind a gate, the route has only the parameters of its path
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
    // @ts-expect-error: the type parameter does not have this claim
    const missing = auth.claims.other;
    // @ts-expect-error: claims are unknown without a type parameter
    const assumed: string = getAuth(req).claims.tenant;
    // @ts-expect-error: the client id may be undefined
    const present: string = auth.clientId;
    // @ts-expect-error: the auth object is immutable
    auth.token = '';
    // @ts-expect-error: the claims are immutable
    auth.claims.tenant = '';
    // @ts-expect-error: the scopes are immutable
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

// @ts-expect-error: a mode must be one of the three
jwtBearer({ ...options, dpop: true });
// @ts-expect-error: an object requires the mode
jwtBearer({ ...options, dpop: { nonce: true } });
// @ts-expect-error: the format must be one of the four
jwtBearer({ ...options, mtls: { mode: 'allowed', certificate: { header: 'x', format: 'pem' } } });
const introspection = { issuer: 'https://a.example', clientId: 'c', clientSecret: 's', audience: 'a' };
// @ts-expect-error: 'rfc9068' is for JWTs
introspectionBearer({ ...introspection, profile: 'rfc9068' });
// @ts-expect-error: the audience is required
jwtBearer({ issuer: 'https://auth.example.com' });
// @ts-expect-error: the issuer is required
jwtVerifier({ audience: 'https://api.example.com' });
// @ts-expect-error: true is not an audience
jwtBearer({ ...options, audience: true });
// @ts-expect-error: the option is misspelled
jwtBearer({ ...options, clockTolerence: 5 });
// @ts-expect-error: "none" is not an algorithm
jwtBearer({ ...options, algorithms: ['none'] });
// @ts-expect-error: errors must be one of the three values
jwtBearer({ ...options, errors: 'throw' });
// @ts-expect-error: durations are numbers of seconds
jwtBearer({ ...options, keys: { timeout: '5s' } });
// @ts-expect-error: a function is not a verifier
bearer((token: string) => token);
// @ts-expect-error: a verifier returns an AccessToken
bearer({ verify: (token: string) => Promise.resolve({ token }) });
// @ts-expect-error: scopes are strings
requireScopes(1);
// @ts-expect-error: scopes are arguments, not an array
requireScopes(['a', 'b']);
// @ts-expect-error: an object is not a value of a claim
requireClaim('tenant', { id: 1 });
// @ts-expect-error: a predicate returns a boolean
requireThat((auth) => auth.clientId);
// @ts-expect-error: the promise of a predicate resolves to a boolean
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
// @ts-expect-error: getAuth requires a request
getAuth(app);
