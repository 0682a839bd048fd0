/**
 * A JSON Web Key (RFC 7517 §4). The public types contain their own description of it, because the types of jose are ES
 * modules only, and a CommonJS project cannot import them.
 */
export interface Jwk {
  kty?: string | undefined;
  kid?: string | undefined;
  alg?: string | undefined;
  use?: string | undefined;
  key_ops?: string[] | undefined;
  ext?: boolean | undefined;
  crv?: string | undefined;
  x?: string | undefined;
  y?: string | undefined;
  n?: string | undefined;
  e?: string | undefined;
  d?: string | undefined;
  p?: string | undefined;
  q?: string | undefined;
  dp?: string | undefined;
  dq?: string | undefined;
  qi?: string | undefined;
  x5c?: string[] | undefined;
  x5t?: string | undefined;
  'x5t#S256'?: string | undefined;
  x5u?: string | undefined;
}

/** A JSON Web Key Set (RFC 7517 §5). */
export interface JwkSet {
  keys: readonly Jwk[];
}

/** A `CryptoKey` of WebCrypto, with the members that every declaration of it has. */
export interface WebCryptoKey {
  readonly type: string;
  readonly extractable: boolean;
  readonly algorithm: { readonly name: string };
  readonly usages: readonly string[];
}
