export { type Instrumentation, instrument, type InstrumentOptions } from './instrument.js';
