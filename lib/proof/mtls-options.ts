import type { IncomingMessage } from 'node:http';
import { ConfigurationError } from '../errors.js';
import { group, oneOf, type Rule, type Rules } from '../options.js';
import { type CertificateFormat, FORMATS, type XfccElement } from './certificate-formats.js';
import { modeOr, modeRule, type ProofMode } from './mode.js';
import { isPlainObject } from '../util/is-plain-object.js';

/** A client certificate in PEM (text) or DER (bytes); empty, `null` or `undefined` if the client sent none. */
export type ClientCertificate = string | Uint8Array | null | undefined;

/** Where a proxy that terminates TLS puts the certificate of the client. */
export interface ForwardedCertificate {
  /**
   * The header field. The proxy must overwrite it in every request, and callers must not reach the API without the proxy.
   * @default the usual field of the format; nginx has none
   */
  header?: string | undefined;
  /**
   * `'rfc9440'`: `Client-Cert` (RFC 9440). `'nginx'`: PEM, URL-escaped (`$ssl_client_escaped_cert`). `'envoy'`:
   * `X-Forwarded-Client-Cert`, with `Cert` or `Hash`. `'aws'`: `X-Amzn-Mtls-Clientcert` and `…-Leaf` of an Application Load
   * Balancer.
   */
  format: CertificateFormat;
  /**
   * Which element of `X-Forwarded-Client-Cert` is the client's, if several proxies add one. `'first'`: the outermost proxy
   * must replace the header (`SANITIZE_SET`), otherwise a client can write the first element. `'last'`: the certificate that
   * the nearest proxy received; that proxy must check who signed it, because Envoy does not escape the names in it. Only
   * with the format `'envoy'`. @default none: several elements are rejected
   */
  element?: XfccElement | undefined;
}

/** The source of the certificate of the client. */
export type CertificateSource<Req = IncomingMessage> =
  'socket' | ForwardedCertificate | ((req: Req) => ClientCertificate | PromiseLike<ClientCertificate>);

/** How tokens that are bound to a client certificate (RFC 8705 §3) are verified. */
export interface MtlsOptions<Req = IncomingMessage> {
  mode: ProofMode;
  /**
   * The source of the certificate of the client: on the TLS connection, in a header field of a trusted proxy, or by a
   * function of the request. @default 'socket'
   */
  certificate?: CertificateSource<Req> | undefined;
}

const forwarded = group<ForwardedCertificate>({
  header: {
    expected: 'the name of a header field',
    fix: 'Leave it out for the usual field of the format.',
    parse: (value) => (typeof value === 'string' && /^[\w!#$%&'*+.^`|~-]+$/.test(value) ? value : undefined),
  },
  format: oneOf(Object.keys(FORMATS) as CertificateFormat[], 'Use the format that the proxy writes.'),
  element: oneOf(['first', 'last'], 'Leave it out if the header has one element.'),
});

const rules: Rules<MtlsOptions> = {
  mode: modeRule,
  certificate: {
    expected: "'socket', { header, format }, or a function of the request that returns PEM or DER",
    fix: 'Pass the header too if the format has no usual one, such as nginx.',
    parse: (value, path) => {
      if (value === 'socket') return value;
      if (typeof value === 'function') return value as CertificateSource;
      if (!isPlainObject(value)) return undefined;
      const source = forwarded.parse(value, path);
      if (source?.format === undefined) return undefined;
      if (source.element !== undefined && source.format !== 'envoy') throw elementWithoutEnvoy(path, source.format);
      return source.header === undefined && FORMATS[source.format].header === undefined ? undefined : source;
    },
  },
};

function elementWithoutEnvoy(path: string, format: CertificateFormat): ConfigurationError {
  return new ConfigurationError({
    option: `${path}: element`,
    expected: `nothing, because the format is ${format}`,
    got: 'a value',
    fix: 'Remove it. Only X-Forwarded-Client-Cert (envoy) has several elements.',
  });
}

export const mtlsRule: Rule<ProofMode | MtlsOptions> = modeOr(
  rules,
  "Use 'allowed' to accept bearer tokens and certificate-bound tokens, 'required' to accept only certificate-bound tokens.",
);
