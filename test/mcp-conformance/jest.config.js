import config from '../../jest.config.js';

/** Runs the conformance suite, which has its own packages. @type {import('jest').Config} */
export default {
  ...config,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/mcp-conformance/conformance.ts'],
};
