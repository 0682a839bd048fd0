/** Rejects a request, for the contenders that are not an Express middleware themselves. */
export function reject(res) {
  res.status(401).set('WWW-Authenticate', 'Bearer error="invalid_token"').json({ error: 'invalid_token' });
}

/** An Express middleware around a function that returns a token's claims or throws. */
export function middlewareOf(verify) {
  return (req, res, next) => {
    const [scheme, token] = (req.headers.authorization ?? '').split(' ');
    if (scheme !== 'Bearer' || !token) return reject(res);
    verify(token).then(
      (claims) => {
        req.auth = claims;
        next();
      },
      () => reject(res),
    );
  };
}
