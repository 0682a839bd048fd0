// The package has another name since version 3, and two of its classes changed.
import { SimpleSpanProcessor as Processor } from '@opentelemetry/sdk-trace';

export { InMemorySpanExporter, TracerProvider as BasicTracerProvider } from '@opentelemetry/sdk-trace';

export class SimpleSpanProcessor extends Processor {
  constructor(exporter) {
    super({ exporter });
  }
}
