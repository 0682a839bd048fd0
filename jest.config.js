/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  // For slow machines: time is simulated, so nothing here waits for long.
  testTimeout: 60_000,
  // All cores: the default leaves one idle.
  maxWorkers: '100%',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
  moduleNameMapper: {
    '^express-resource-server$': '<rootDir>/lib/index.ts',
    '^express-resource-server/mcp$': '<rootDir>/lib/mcp/index.ts',
    '^express-resource-server/testing$': '<rootDir>/lib/testing/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  collectCoverageFrom: ['lib/**/*.ts', '!lib/augment.ts'],
  coverageProvider: 'v8',
  coverageReporters: ['text', 'json-summary'],
};
