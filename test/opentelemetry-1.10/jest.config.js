import config from '../../jest.config.js';

/** Runs test/opentelemetry/instrument.test.ts with the packages of this folder. @type {import('jest').Config} */
export default {
  ...config,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/opentelemetry/instrument.test.ts'],
  moduleNameMapper: {
    ...config.moduleNameMapper,
    '^@opentelemetry/sdk-trace-base$': '<rootDir>/test/opentelemetry-1.10/sdk-trace-base.js',
    '^@opentelemetry/(api|sdk-metrics|context-async-hooks)$':
      '<rootDir>/test/opentelemetry-1.10/node_modules/@opentelemetry/$1',
  },
};
