import { URLSearchParams } from 'node:url';
import { middlewareOf } from './refuse.js';

/** What one writes in a quarter of an hour: the authorization server is asked at each request. */
export function make({ issuer, audience, introspection: { endpoint, clientId, clientSecret } }) {
  const authorization = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`;
  const ask = async (token) => {
    const body = new URLSearchParams({ token });
    const response = await fetch(endpoint, { method: 'POST', headers: { authorization }, body });
    const info = await response.json();
    if (!info.active || info.iss !== issuer || info.aud !== audience) throw new Error('refused');
    return info;
  };
  return { middleware: middlewareOf(ask), clientOf: (req) => req.auth.client_id };
}
