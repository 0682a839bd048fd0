import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import {
  type Attributes,
  diag,
  type MeterProvider,
  metrics,
  SpanKind,
  SpanStatusCode,
  trace,
  type TracerProvider,
} from '@opentelemetry/api';
import type { DiagnosticMessages, DiagnosticName, IntrospectionMessage } from '../diagnostics.js';
import { flag, readOptions, type Rule, type Rules } from '../options.js';
import { ATTRIBUTE, BoundedValues, failureOf, present, reasonOf, rejectionClassOf } from './attributes.js';

export interface InstrumentOptions {
  /** Receives the metrics. @default the global meter provider of `@opentelemetry/api` */
  meterProvider?: MeterProvider | undefined;
  /** Receives the spans. @default the global tracer provider of `@opentelemetry/api` */
  tracerProvider?: TracerProvider | undefined;
  /**
   * Adds the client id to the metric of accepted requests and to the span of the request. Each client is a time series
   * of its own; after 1,000 clients, the others are `_OTHER`. @default false
   */
  clientId?: boolean | undefined;
}

/** What `instrument` returns. */
export interface Instrumentation {
  /** Ends the measuring. */
  close(): void;
}

function providerRule<T>(method: string, fix: string): Rule<T> {
  return {
    expected: `an object with the method ${method}`,
    fix,
    parse: (value) => {
      const isProvider = typeof value === 'object' && value !== null;
      return isProvider && typeof Reflect.get(value, method) === 'function' ? (value as T) : undefined;
    },
  };
}

const rules: Rules<InstrumentOptions> = {
  meterProvider: providerRule('getMeter', 'Leave it out for the global meter provider.'),
  tracerProvider: providerRule('getTracer', 'Leave it out for the global tracer provider.'),
  clientId: flag('Leave it out to keep client ids out of metrics and spans.'),
};

const NAME = 'express-resource-server';
const MAX_ISSUERS = 200;
const MAX_CLIENTS = 1_000;
/** Seconds: the boundaries that the semantic conventions advise for the durations of HTTP requests. */
const BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

type Subscribers = { readonly [N in DiagnosticName]: (message: DiagnosticMessages[N]) => void };

/**
 * Turns the diagnostics channels of this package into metrics and spans. Call it once, at startup: each call measures
 * everything again. Attributes never contain a token, a claim, a path or the text of an error.
 *
 * @throws ConfigurationError for an option that is unknown or wrong.
 */
export function instrument(options: InstrumentOptions = {}): Instrumentation {
  const settings = readOptions<InstrumentOptions>('instrument', options, rules);
  const subscriptions = Object.entries(createSubscribers(settings)).map(([name, record]) => {
    const listener = (message: unknown): void => {
      safely(record as (message: unknown) => void, message);
    };
    return [`${NAME}.${name}`, listener] as const;
  });
  for (const [name, listener] of subscriptions) subscribe(name, listener);
  return {
    close: () => {
      for (const [name, listener] of subscriptions) unsubscribe(name, listener);
    },
  };
}

// Node makes an error of a subscriber an uncaught exception, which ends the process.
function safely(record: (message: unknown) => void, message: unknown): void {
  try {
    record(message);
  } catch (error) {
    diag.error(`${NAME}: a measurement failed`, error);
  }
}

function createSubscribers(options: InstrumentOptions): Subscribers {
  const { accepted, rejected, lookups, fetches, staleUses, introspections, replays } = createInstruments(options);
  const tracer = (options.tracerProvider ?? trace.getTracerProvider()).getTracer(NAME);
  const issuers = new BoundedValues(MAX_ISSUERS);
  const clients = new BoundedValues(MAX_CLIENTS);
  const issuerOf = (issuer: string | undefined): string | undefined =>
    issuer === undefined ? undefined : issuers.of(issuer);

  const countLookup = (result: 'hit' | 'miss', issuer: string | undefined): void => {
    lookups.add(1, present({ [ATTRIBUTE.issuer]: issuerOf(issuer), [ATTRIBUTE.cacheResult]: result }));
  };

  const countFetch = (issuer: string, document: string, failure: string | undefined): void => {
    const attributes = { [ATTRIBUTE.issuer]: issuerOf(issuer), [ATTRIBUTE.document]: document };
    fetches.add(1, present({ ...attributes, [ATTRIBUTE.errorType]: failure }));
  };

  const traceIntrospection = (duration: number, attributes: Attributes, isFailed: boolean): void => {
    // The message comes at the end of the exchange.
    const end = Date.now();
    const span = tracer.startSpan('introspection', {
      kind: SpanKind.CLIENT,
      startTime: end - duration * 1000,
      attributes,
    });
    if (isFailed) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(end);
  };

  const recordIntrospection = ({ issuer, duration, outcome, error }: IntrospectionMessage): void => {
    const isFailed = outcome === 'failed';
    const attributes = present({
      [ATTRIBUTE.issuer]: issuerOf(issuer),
      [ATTRIBUTE.outcome]: outcome,
      [ATTRIBUTE.errorType]: isFailed ? failureOf(error) : undefined,
    });
    introspections.record(duration, attributes);
    traceIntrospection(duration, attributes, isFailed);
  };

  return {
    'request.accepted': ({ issuer, clientId }) => {
      const client = options.clientId === true && clientId !== undefined ? clients.of(clientId) : undefined;
      const attributes = present({ [ATTRIBUTE.issuer]: issuerOf(issuer), [ATTRIBUTE.clientId]: client });
      accepted.add(1, attributes);
      trace.getActiveSpan()?.setAttributes(attributes);
    },
    'request.rejected': ({ issuer, error }) => {
      const reason = reasonOf(error);
      const attributes = present({
        [ATTRIBUTE.issuer]: issuerOf(issuer),
        [ATTRIBUTE.rejectionClass]: rejectionClassOf(error),
      });
      rejected.add(1, { ...attributes, [ATTRIBUTE.errorType]: reason });
      // `error.type` of that span belongs to the instrumentation of HTTP.
      trace.getActiveSpan()?.setAttributes({ ...attributes, [ATTRIBUTE.rejectionReason]: reason });
    },
    'cache.hit': ({ issuer }) => {
      countLookup('hit', issuer);
    },
    'cache.miss': ({ issuer }) => {
      countLookup('miss', issuer);
    },
    'keys.refreshed': ({ issuer, document }) => {
      countFetch(issuer, document, undefined);
    },
    'keys.refresh_failed': ({ issuer, document, error }) => {
      countFetch(issuer, document, failureOf(error));
    },
    'keys.stale_used': ({ issuer }) => {
      staleUses.add(1, present({ [ATTRIBUTE.issuer]: issuerOf(issuer) }));
    },
    introspection: recordIntrospection,
    'dpop.replay': () => {
      replays.add(1);
    },
  };
}

function createInstruments({ meterProvider }: InstrumentOptions) {
  const meter = (meterProvider ?? metrics.getMeterProvider()).getMeter(NAME);
  const counter = (name: string, unit: string, description: string) =>
    meter.createCounter(`express_resource_server.${name}`, { unit, description });
  return {
    accepted: counter('requests.accepted', '{request}', 'Requests that a middleware accepted. A gate may reject them.'),
    rejected: counter('requests.rejected', '{request}', 'Requests that a middleware or a gate rejected.'),
    lookups: counter('cache.lookups', '{lookup}', 'Look-ups in the token cache.'),
    fetches: counter('document.fetches', '{fetch}', 'Fetches of keys and metadata; failed ones have error.type.'),
    staleUses: counter('stale_keys.uses', '{token}', 'Tokens that were judged with keys that are no longer fresh.'),
    introspections: meter.createHistogram('express_resource_server.introspection.duration', {
      unit: 's',
      description: 'Duration of requests to the introspection endpoint; failed ones have error.type.',
      advice: { explicitBucketBoundaries: BOUNDARIES },
    }),
    replays: counter('dpop.replays', '{proof}', 'DPoP proofs that were used a second time.'),
  };
}
