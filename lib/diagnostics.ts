import { channel, type Channel } from 'node:diagnostics_channel';
import type { ResourceServerError } from './errors.js';

/** A request was accepted: `express-resource-server.request.accepted`. */
export interface AcceptedMessage {
  readonly request: unknown;
  /** As configured; of an own verifier, as it returned it. */
  readonly issuer: string;
  readonly clientId: string | undefined;
  readonly format: 'jwt' | 'opaque';
  readonly scheme: 'Bearer' | 'DPoP';
}

/** A middleware or a gate rejected a request: `express-resource-server.request.rejected`. */
export interface RejectedMessage {
  readonly request: unknown;
  readonly error: ResourceServerError;
  /** The issuer as configured, if the middleware has exactly one. */
  readonly issuer: string | undefined;
}

/** The token cache was read: `express-resource-server.cache.hit` and `express-resource-server.cache.miss`. */
export interface CacheMessage {
  readonly issuer: string | undefined;
}

/** A document of the issuer was fetched: `express-resource-server.keys.refreshed`. */
export interface RefreshedMessage {
  readonly issuer: string;
  readonly document: 'keys' | 'metadata';
}

/** A fetch failed: `express-resource-server.keys.refresh_failed`. */
export interface RefreshFailedMessage extends RefreshedMessage {
  readonly error: unknown;
}

/** Keys that are no longer fresh judged a token, new or cached: `express-resource-server.keys.stale_used`. */
export interface StaleKeysMessage {
  readonly issuer: string;
}

/** The introspection endpoint was called: `express-resource-server.introspection`. */
export interface IntrospectionMessage {
  readonly issuer: string | undefined;
  /** Seconds. */
  readonly duration: number;
  readonly outcome: 'active' | 'inactive' | 'failed';
  /** Only if it failed. */
  readonly error: unknown;
}

/** A DPoP proof was used a second time: `express-resource-server.dpop.replay`. */
export interface DpopReplayMessage {
  readonly request: unknown;
}

/** What is published on each channel of `node:diagnostics_channel`. */
export interface DiagnosticMessages {
  'request.accepted': AcceptedMessage;
  'request.rejected': RejectedMessage;
  'cache.hit': CacheMessage;
  'cache.miss': CacheMessage;
  'keys.refreshed': RefreshedMessage;
  'keys.refresh_failed': RefreshFailedMessage;
  'keys.stale_used': StaleKeysMessage;
  introspection: IntrospectionMessage;
  'dpop.replay': DpopReplayMessage;
}

export type DiagnosticName = keyof DiagnosticMessages;

// Created once: a look-up by name for every request would not be free.
const channels: Readonly<Record<DiagnosticName, Channel>> = {
  'request.accepted': channel('express-resource-server.request.accepted'),
  'request.rejected': channel('express-resource-server.request.rejected'),
  'cache.hit': channel('express-resource-server.cache.hit'),
  'cache.miss': channel('express-resource-server.cache.miss'),
  'keys.refreshed': channel('express-resource-server.keys.refreshed'),
  'keys.refresh_failed': channel('express-resource-server.keys.refresh_failed'),
  'keys.stale_used': channel('express-resource-server.keys.stale_used'),
  introspection: channel('express-resource-server.introspection'),
  'dpop.replay': channel('express-resource-server.dpop.replay'),
};

/** Publishes a message; without a subscriber, the message is not built. */
export function publish<N extends DiagnosticName>(name: N, message: () => DiagnosticMessages[N]): void {
  const target = channels[name];
  if (target.hasSubscribers) target.publish(message());
}
