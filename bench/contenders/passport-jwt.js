import jwksRsa from 'jwks-rsa';
import { Passport } from 'passport';
import { ExtractJwt, Strategy } from 'passport-jwt';

export function make({ issuer, audience, jwksUri, alg }) {
  const passport = new Passport();
  const strategy = new Strategy(
    {
      secretOrKeyProvider: jwksRsa.passportJwtSecret({
        cache: true,
        rateLimit: true,
        jwksRequestsPerMinute: 5,
        jwksUri,
      }),
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      audience,
      issuer,
      algorithms: [alg],
    },
    (claims, done) => done(null, claims),
  );
  passport.use(strategy);
  return {
    middleware: passport.authenticate('jwt', { session: false }),
    clientOf: (req) => req.user.client_id,
  };
}
