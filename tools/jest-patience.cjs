/* global jest */
// A limit for each project on its own: Jest reads `testTimeout` for all projects together only.
jest.setTimeout(120_000);
