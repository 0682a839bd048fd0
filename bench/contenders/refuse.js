/** The refusal of the contenders that are no Express middleware by themselves. */
export function refuse(res) {
  res.status(401).set('WWW-Authenticate', 'Bearer error="invalid_token"').json({ error: 'invalid_token' });
}

/** An Express middleware around a function that gives a token's claims or throws. */
export function middlewareOf(verify) {
  return (req, res, next) => {
    const [scheme, token] = (req.headers.authorization ?? '').split(' ');
    if (scheme !== 'Bearer' || !token) return refuse(res);
    verify(token).then(
      (claims) => {
        req.auth = claims;
        next();
      },
      () => refuse(res),
    );
  };
}
