import { channel } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { context, diag, type DiagLogger, metrics, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { DiagnosticMessages, DiagnosticName } from '../../lib/diagnostics.js';
import {
  ConfigurationError,
  HttpError,
  InsufficientAuthenticationError,
  InsufficientScopeError,
  InvalidDpopProofError,
  InvalidRequestError,
  InvalidTokenError,
  jwtBearer,
  jwtVerifier,
  MissingTokenError,
  requireScopes,
  type ResourceServerError,
  UpstreamError,
} from '../../lib/index.js';
import { type Instrumentation, instrument, type InstrumentOptions } from '../../lib/opentelemetry/index.js';
import { SENTENCES } from '../../lib/reasons.js';
import { createScene, present, serveDpop } from '../support/dpop.js';
import { get, serve, startIssuer } from '../support/helpers.js';
import { verifierFor } from '../support/introspection.js';
import { ROOT } from '../support/type-check.js';

const ISSUER = 'https://auth.example.com';
const OTHER = 'https://other.example.com';

let metricExporter: InMemoryMetricExporter;
let meterProvider: MeterProvider;
let spanExporter: InMemorySpanExporter;
let tracerProvider: BasicTracerProvider;
const running: Instrumentation[] = [];
const scene = createScene();

beforeEach(() => {
  metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  // Exported by `collect`, never by the timer.
  const reader = new PeriodicExportingMetricReader({ exporter: metricExporter, exportIntervalMillis: 3_600_000 });
  meterProvider = new MeterProvider({ readers: [reader] });
  spanExporter = new InMemorySpanExporter();
  tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spanExporter)] });
});

afterEach(async () => {
  for (const each of running.splice(0)) each.close();
  metrics.disable();
  trace.disable();
  context.disable();
  diag.disable();
  await meterProvider.shutdown();
  await tracerProvider.shutdown();
});

function start(options: InstrumentOptions = {}): Instrumentation {
  const instrumentation = instrument({ meterProvider, tracerProvider, ...options });
  running.push(instrumentation);
  return instrumentation;
}

function publish<N extends keyof DiagnosticMessages>(name: N, message: DiagnosticMessages[N]): void {
  channel(`express-resource-server.${name}`).publish(message);
}

function reject(error: ResourceServerError, from: { issuer: string | undefined } = { issuer: ISSUER }): void {
  publish('request.rejected', { request: {}, error, ...from });
}

function accept(clientId: string | undefined, issuer = ISSUER): void {
  publish('request.accepted', { request: {}, issuer, clientId, format: 'jwt', scheme: 'Bearer' });
}

/** Causes a measurement of every metric. */
function publishAll(): void {
  accept('client-1');
  reject(new InvalidTokenError('expired'));
  publish('cache.hit', { issuer: ISSUER });
  publish('keys.refreshed', { issuer: ISSUER, document: 'keys' });
  publish('keys.stale_used', { issuer: ISSUER });
  publish('dpop.replay', { request: {} });
  publish('introspection', { issuer: ISSUER, duration: 0.1, outcome: 'active', error: undefined });
}

async function collect(): Promise<MetricData[]> {
  metricExporter.reset();
  await meterProvider.forceFlush();
  return metricExporter
    .getMetrics()
    .flatMap(({ scopeMetrics }) => scopeMetrics)
    .filter(({ scope }) => scope.name === 'express-resource-server')
    .flatMap((scope) => scope.metrics);
}

/** The values of one metric: attributes and number, of a histogram the number of observations. */
async function valuesOf(name: string): Promise<[Record<string, unknown>, number][]> {
  const metric = (await collect()).find(({ descriptor }) => descriptor.name === name);
  if (metric === undefined) return [];
  return metric.dataPointType === DataPointType.HISTOGRAM
    ? metric.dataPoints.map(({ attributes, value }) => [attributes, value.count])
    : metric.dataPoints.map(({ attributes, value }) => [attributes, value as number]);
}

const rejectionOf = async (): Promise<Record<string, unknown> | undefined> =>
  (await valuesOf('express_resource_server.requests.rejected'))[0]?.[0];

describe('requests', () => {
  it('are counted if they are accepted, by issuer', async () => {
    start();
    accept('client-1');
    accept('client-2');
    accept('client-1', OTHER);
    expect(await valuesOf('express_resource_server.requests.accepted')).toEqual([
      [{ 'express_resource_server.issuer': ISSUER }, 2],
      [{ 'express_resource_server.issuer': OTHER }, 1],
    ]);
  });

  it('are counted if they are rejected, by issuer, reason and class', async () => {
    start();
    reject(new InvalidTokenError('expired'));
    reject(new InvalidTokenError('expired'));
    reject(new MissingTokenError(), { issuer: undefined });
    expect(await valuesOf('express_resource_server.requests.rejected')).toEqual([
      [
        {
          'express_resource_server.issuer': ISSUER,
          'express_resource_server.rejection.class': 'expired',
          'error.type': 'expired',
        },
        2,
      ],
      [{ 'express_resource_server.rejection.class': 'no_credentials', 'error.type': 'token_missing' }, 1],
    ]);
  });

  it.each<[string, ResourceServerError]>([
    ['expired', new InvalidTokenError('expired')],
    ['invalid_token', new InvalidTokenError('audience_mismatch')],
    ['nonce_required', new InvalidDpopProofError('proof_nonce_missing', { nonce: 'n' })],
    ['invalid_proof', new InvalidDpopProofError('proof_replayed')],
    ['insufficient_rights', new InsufficientScopeError('scope_missing')],
    ['insufficient_rights', new InsufficientAuthenticationError({})],
    ['upstream', new UpstreamError('keys_unavailable', 1)],
    ['no_credentials', new MissingTokenError()],
    ['invalid_request', new InvalidRequestError('several_credentials')],
  ])('have the class %s for %s', async (expected, error) => {
    start();
    reject(error);
    expect(await rejectionOf()).toMatchObject({
      'error.type': error.reason,
      'express_resource_server.rejection.class': expected,
    });
  });

  it('do not name the client unless that is requested', async () => {
    start();
    accept('client-1');
    expect(JSON.stringify(await collect())).not.toContain('client-1');
  });

  it('name the client if that is requested', async () => {
    start({ clientId: true });
    accept('client-1');
    accept(undefined);
    expect(await valuesOf('express_resource_server.requests.accepted')).toEqual([
      [{ 'express_resource_server.issuer': ISSUER, 'express_resource_server.client.id': 'client-1' }, 1],
      [{ 'express_resource_server.issuer': ISSUER }, 1],
    ]);
  });
});

describe('the sets of attribute values are bounded:', () => {
  it('a reason that is not of this package is _OTHER', async () => {
    start();
    reject(new InvalidTokenError('made-up-by-a-caller' as 'expired'));
    expect(await rejectionOf()).toMatchObject({ 'error.type': '_OTHER' });
  });

  it('there are at most 200 issuers, and the others are _OTHER', async () => {
    start();
    for (let i = 0; i < 1_000; i++) accept('client-1', `https://${i}.example.com`);
    accept('client-1', 'https://0.example.com');
    const values = await valuesOf('express_resource_server.requests.accepted');
    expect(values).toHaveLength(201);
    expect(values[0]?.[1]).toBe(2);
    expect(values.at(-1)).toEqual([{ 'express_resource_server.issuer': '_OTHER' }, 800]);
  });

  it('there are at most 1,000 clients, and the others are _OTHER', async () => {
    start({ clientId: true });
    for (let i = 0; i < 1_500; i++) accept(`client-${i}`);
    const values = await valuesOf('express_resource_server.requests.accepted');
    expect(values).toHaveLength(1_001);
    expect(values.at(-1)?.[0]).toMatchObject({ 'express_resource_server.client.id': '_OTHER' });
  });
});

describe('the other channels', () => {
  it('count cache look-ups by result', async () => {
    start();
    publish('cache.hit', { issuer: ISSUER });
    publish('cache.hit', { issuer: ISSUER });
    publish('cache.miss', { issuer: undefined });
    expect(await valuesOf('express_resource_server.cache.lookups')).toEqual([
      [{ 'express_resource_server.issuer': ISSUER, 'express_resource_server.cache.result': 'hit' }, 2],
      [{ 'express_resource_server.cache.result': 'miss' }, 1],
    ]);
  });

  it('count fetches of documents, with the kind of failure', async () => {
    start();
    const failure = new HttpError('timeout', `${ISSUER}/jwks did not respond`);
    publish('keys.refreshed', { issuer: ISSUER, document: 'keys' });
    publish('keys.refresh_failed', { issuer: ISSUER, document: 'keys', error: failure });
    const unavailable = new UpstreamError('keys_unavailable', 1, { cause: failure });
    publish('keys.refresh_failed', { issuer: ISSUER, document: 'keys', error: unavailable });
    publish('keys.refresh_failed', { issuer: ISSUER, document: 'metadata', error: new Error('secret text') });
    const issuer = { 'express_resource_server.issuer': ISSUER };
    expect(await valuesOf('express_resource_server.document.fetches')).toEqual([
      [{ ...issuer, 'express_resource_server.document': 'keys' }, 1],
      [{ ...issuer, 'express_resource_server.document': 'keys', 'error.type': 'timeout' }, 2],
      [{ ...issuer, 'express_resource_server.document': 'metadata', 'error.type': '_OTHER' }, 1],
    ]);
  });

  it('find the failure among several', async () => {
    start();
    const status = new HttpError('status', 'answered 404', { status: 404 });
    const error = new AggregateError([status, new HttpError('invalid', 'no JSON')]);
    publish('keys.refresh_failed', { issuer: ISSUER, document: 'metadata', error });
    expect(await valuesOf('express_resource_server.document.fetches')).toEqual([
      [expect.objectContaining({ 'error.type': 'status' }), 1],
    ]);
  });

  it('count uses of stale keys and replayed proofs', async () => {
    start();
    publish('keys.stale_used', { issuer: ISSUER });
    publish('dpop.replay', { request: {} });
    expect(await valuesOf('express_resource_server.stale_keys.uses')).toEqual([
      [{ 'express_resource_server.issuer': ISSUER }, 1],
    ]);
    expect(await valuesOf('express_resource_server.dpop.replays')).toEqual([[{}, 1]]);
  });

  it('measure introspection, in seconds', async () => {
    start();
    publish('introspection', { issuer: ISSUER, duration: 0.02, outcome: 'active', error: undefined });
    publish('introspection', {
      issuer: ISSUER,
      duration: 5,
      outcome: 'failed',
      error: new HttpError('unreachable', 'no response'),
    });
    const metric = (await collect()).find(
      ({ descriptor }) => descriptor.name === 'express_resource_server.introspection.duration',
    );
    expect(metric?.descriptor.unit).toBe('s');
    expect(await valuesOf('express_resource_server.introspection.duration')).toEqual([
      [{ 'express_resource_server.issuer': ISSUER, 'express_resource_server.introspection.outcome': 'active' }, 1],
      [
        {
          'express_resource_server.issuer': ISSUER,
          'express_resource_server.introspection.outcome': 'failed',
          'error.type': 'unreachable',
        },
        1,
      ],
    ]);
  });
});

describe('spans', () => {
  it('show an introspection request as a client span of its duration', () => {
    start();
    publish('introspection', { issuer: ISSUER, duration: 0.25, outcome: 'inactive', error: undefined });
    const [span, ...others] = spanExporter.getFinishedSpans();
    expect(others).toEqual([]);
    expect(span).toMatchObject({
      name: 'introspection',
      kind: SpanKind.CLIENT,
      status: { code: SpanStatusCode.UNSET },
      attributes: {
        'express_resource_server.issuer': ISSUER,
        'express_resource_server.introspection.outcome': 'inactive',
      },
    });
    expect((span?.duration[0] ?? 0) + (span?.duration[1] ?? 0) / 1e9).toBeCloseTo(0.25, 2);
  });

  it('show a failed one as an error, without the text of the error', () => {
    start();
    const error = new HttpError('invalid', 'text of the server');
    publish('introspection', { issuer: ISSUER, duration: 1, outcome: 'failed', error });
    const [span] = spanExporter.getFinishedSpans();
    expect(span?.status).toEqual({ code: SpanStatusCode.ERROR });
    expect(span?.attributes['error.type']).toBe('invalid');
    expect(JSON.stringify([span?.attributes, span?.events])).not.toContain('text of the server');
  });

  it('have the span of the request as their parent, which contains the reason of the rejection', () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    start();
    const request = tracerProvider.getTracer('http').startSpan('GET /');
    context.with(trace.setSpan(context.active(), request), () => {
      publish('introspection', { issuer: ISSUER, duration: 0.01, outcome: 'inactive', error: undefined });
      reject(new InvalidTokenError('inactive'));
    });
    request.end();
    const [introspection, server] = spanExporter.getFinishedSpans();
    expect(introspection?.parentSpanContext?.spanId).toBe(request.spanContext().spanId);
    expect(server?.attributes).toEqual({
      'express_resource_server.issuer': ISSUER,
      'express_resource_server.rejection.class': 'invalid_token',
      'express_resource_server.rejection.reason': 'inactive',
    });
  });

  it('contain the issuer of an accepted token, and the client only if that is requested', () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    start({ clientId: true });
    const request = tracerProvider.getTracer('http').startSpan('GET /');
    context.with(trace.setSpan(context.active(), request), () => {
      accept('client-1');
    });
    request.end();
    expect(spanExporter.getFinishedSpans()[0]?.attributes).toEqual({
      'express_resource_server.issuer': ISSUER,
      'express_resource_server.client.id': 'client-1',
    });
  });
});

describe('a real API', () => {
  it('has metrics of the requests that it accepts and rejects, including rejections by gates', async () => {
    const issuer = await startIssuer();
    const options = { issuer: issuer.url, audience: issuer.audience };
    const app = serve(jwtBearer(options), requireScopes('orders:read'));
    start({ clientId: true });
    await get(app, await issuer.issue({ scope: 'orders:read' }));
    await get(app, await issuer.issue({ exp: 1 }));
    await get(app, await issuer.issue());
    await get(app);
    const from = { 'express_resource_server.issuer': issuer.url };
    const rejected = (reason: string, kind: string): [Record<string, unknown>, number] => [
      { ...from, 'error.type': reason, 'express_resource_server.rejection.class': kind },
      1,
    ];
    expect(await valuesOf('express_resource_server.requests.accepted')).toEqual([
      // A gate rejected the second request.
      [{ ...from, 'express_resource_server.client.id': 'client-1' }, 2],
    ]);
    expect(await valuesOf('express_resource_server.requests.rejected')).toEqual([
      rejected('expired', 'expired'),
      rejected('scope_missing', 'insufficient_rights'),
      rejected('token_missing', 'no_credentials'),
    ]);
  });
});

describe('a real verifier', () => {
  const from = (issuer: { readonly url: string }): Record<string, unknown> => ({
    'express_resource_server.issuer': issuer.url,
  });

  it('has metrics of its cache and of the documents that it fetches', async () => {
    const issuer = await startIssuer();
    start();
    const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience });
    const token = await issuer.issue();
    for (let i = 0; i < 3; i++) await verifier.verify(token);
    const document = (name: string) => ({ ...from(issuer), 'express_resource_server.document': name });
    const result = (name: string) => ({ ...from(issuer), 'express_resource_server.cache.result': name });
    expect(await valuesOf('express_resource_server.document.fetches')).toEqual([
      [document('metadata'), 1],
      [document('keys'), 1],
    ]);
    expect(await valuesOf('express_resource_server.cache.lookups')).toEqual([
      [result('miss'), 1],
      [result('hit'), 2],
    ]);
  });

  it('has metrics of failed fetches and of the use of stale keys', async () => {
    const issuer = await startIssuer();
    start();
    const time = { now: Date.now() / 1000 };
    const verifier = jwtVerifier({
      issuer: issuer.url,
      audience: issuer.audience,
      clock: () => time.now,
      keys: { refreshInterval: 60 },
    });
    const token = await issuer.issue();
    await verifier.verify(token);
    issuer.fail('jwks', 'error');
    time.now += 61;
    await verifier.verify(token);
    const failed = { ...from(issuer), 'express_resource_server.document': 'keys', 'error.type': 'status' };
    expect(await valuesOf('express_resource_server.document.fetches')).toContainEqual([failed, 1]);
    expect(await valuesOf('express_resource_server.stale_keys.uses')).toEqual([[from(issuer), 1]]);
    await verifier.close();
  });

  it('has a metric and a span of each introspection', async () => {
    const issuer = await startIssuer();
    start();
    const verifier = verifierFor(issuer);
    await verifier.verify(issuer.issueOpaque());
    const active = { ...from(issuer), 'express_resource_server.introspection.outcome': 'active' };
    expect(await valuesOf('express_resource_server.introspection.duration')).toEqual([[active, 1]]);
    expect(spanExporter.getFinishedSpans()).toMatchObject([{ name: 'introspection', attributes: active }]);
  });

  it('has a metric of replayed proofs', async () => {
    start();
    const app = serveDpop(scene.issuer);
    const proof = await scene.prove();
    for (let i = 0; i < 2; i++) await present(app, scene.token, proof);
    expect(await valuesOf('express_resource_server.dpop.replays')).toEqual([[{}, 1]]);
  });
});

describe('docs/monitoring.md', () => {
  const page = readFileSync(join(ROOT, 'docs/monitoring.md'), 'utf8');
  const firstCells = [...page.matchAll(/^\| `([\w.-]+)`/gm)].map(([, name = '']) => name);

  it('lists every metric', async () => {
    start();
    publishAll();
    const names = (await collect()).map(({ descriptor }) => descriptor.name);
    expect(firstCells.filter((name) => name.startsWith('express_resource_server.')).sort()).toEqual(names.sort());
  });

  it('lists every channel', () => {
    const names: Record<DiagnosticName, true> = {
      'request.accepted': true,
      'request.rejected': true,
      'cache.hit': true,
      'cache.miss': true,
      'keys.refreshed': true,
      'keys.refresh_failed': true,
      'keys.stale_used': true,
      introspection: true,
      'dpop.replay': true,
    };
    const channels = firstCells.filter((name) => name.startsWith('express-resource-server.'));
    expect(channels).toEqual(Object.keys(names).map((name) => `express-resource-server.${name}`));
  });
});

describe('instrument', () => {
  it('uses the global providers by default', async () => {
    metrics.setGlobalMeterProvider(meterProvider);
    trace.setGlobalTracerProvider(tracerProvider);
    running.push(instrument());
    publish('introspection', { issuer: ISSUER, duration: 0.1, outcome: 'active', error: undefined });
    expect(await valuesOf('express_resource_server.introspection.duration')).toHaveLength(1);
    expect(spanExporter.getFinishedSpans()).toHaveLength(1);
  });

  it('stops with close', async () => {
    start().close();
    accept('client-1');
    expect(await valuesOf('express_resource_server.requests.accepted')).toEqual([]);
    expect(channel('express-resource-server.request.accepted').hasSubscribers).toBe(false);
  });

  it('does not let the exception of a provider fail the request, and reports it to the logger of OpenTelemetry', () => {
    const logged: unknown[] = [];
    const ignore = (): void => undefined;
    const logger: DiagLogger = {
      error: (text) => logged.push(text),
      warn: ignore,
      info: ignore,
      debug: ignore,
      verbose: ignore,
    };
    diag.setLogger(logger);
    const getTracer = (): never => {
      throw new Error('tracer failed');
    };
    expect(() => start({ tracerProvider: { getTracer } })).toThrow('tracer failed');
    const startSpan = getTracer;
    start({ tracerProvider: { getTracer: () => ({ startSpan, startActiveSpan: startSpan }) } });
    publish('introspection', { issuer: ISSUER, duration: 0.1, outcome: 'active', error: undefined });
    expect(logged).toEqual(['express-resource-server: a measurement failed']);
  });

  it('describes every metric with its unit and its purpose', async () => {
    start();
    publishAll();
    const found = (await collect()).map(({ descriptor: { name, unit, description } }) => [
      name,
      unit,
      description !== '',
    ]);
    expect(found).toEqual([
      ['express_resource_server.requests.accepted', '{request}', true],
      ['express_resource_server.requests.rejected', '{request}', true],
      ['express_resource_server.cache.lookups', '{lookup}', true],
      ['express_resource_server.document.fetches', '{fetch}', true],
      ['express_resource_server.stale_keys.uses', '{token}', true],
      ['express_resource_server.introspection.duration', 's', true],
      ['express_resource_server.dpop.replays', '{proof}', true],
    ]);
  });

  it.each<[string, unknown, RegExp]>([
    ['an unknown option', { clientid: true }, /Did you mean clientId\?/],
    ['an invalid provider', { meterProvider: {} }, /instrument: meterProvider: expected/],
    [
      'an invalid tracer provider',
      { tracerProvider: { getMeter: () => undefined } },
      /instrument: tracerProvider: expected/,
    ],
    ['a client id', { clientId: 'client-1' }, /instrument: clientId: expected true or false/],
  ])('rejects %s', (_, options, message) => {
    expect(() => start(options as InstrumentOptions)).toThrow(ConfigurationError);
    expect(() => start(options as InstrumentOptions)).toThrow(message);
  });

  it('contains every reason', async () => {
    start();
    const reasons = Object.keys(SENTENCES);
    for (const reason of reasons) reject(new InvalidTokenError(reason as 'rejected'));
    const values = await valuesOf('express_resource_server.requests.rejected');
    expect(values.map(([attributes]) => attributes['error.type'])).toEqual(reasons);
  });
});
