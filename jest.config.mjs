// Nest 12 is ESM-only and Jest cannot require() ESM before Node 24.9, so the
// ESM-only packages are compiled to CommonJS too (cached after the first run).
const esmOnly = [
  '@nestjs',
  'file-type',
  'load-esm',
  'strtok3',
  'token-types',
  'uint8array-extras',
  '@tokenizer',
  '@borewit',
  'superjson',
  'copy-anything',
  'is-what',
];
const swc = (parser, transform) => [
  '@swc/jest',
  {
    swcrc: false,
    sourceMaps: 'inline',
    jsc: { target: 'es2022', keepClassNames: true, parser, transform },
    module: { type: 'commonjs' },
  },
];
const base = {
  testEnvironment: 'node',
  moduleNameMapper: {
    '^nestjs-task-queue$': '<rootDir>/libs/task-queue/src/index.ts',
    '^nestjs-task-queue/(\\w+)$': '<rootDir>/libs/task-queue/src/$1/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  transform: {
    '^.+\\.ts$': swc(
      { syntax: 'typescript', decorators: true },
      { legacyDecorator: true, decoratorMetadata: true },
    ),
    '^.+\\.js$': swc({ syntax: 'ecmascript' }),
  },
  transformIgnorePatterns: [`/node_modules/(?!(${esmOnly.join('|')})/)`],
  modulePathIgnorePatterns: ['<rootDir>/dist', '<rootDir>/libs/[^/]+/dist', '<rootDir>/.cache'],
};
export default {
  collectCoverageFrom: ['libs/*/src/**/*.ts', 'src/**/*.ts', '!**/*.spec.ts', '!src/main.ts'],
  coverageProvider: 'v8',
  projects: [
    {
      ...base,
      displayName: 'unit',
      roots: ['<rootDir>/src', '<rootDir>/libs', '<rootDir>/test/unit'],
      testMatch: ['**/*.spec.ts'],
    },
    {
      ...base,
      displayName: 'integration',
      roots: ['<rootDir>/test/integration'],
      testMatch: ['**/*.int-spec.ts'],
      setupFilesAfterEnv: ['<rootDir>/tools/jest-patience.cjs'],
      globalSetup: '<rootDir>/test/support/redis-global-setup.mjs',
      globalTeardown: '<rootDir>/test/support/redis-global-teardown.mjs',
    },
    {
      ...base,
      displayName: 'docs',
      roots: ['<rootDir>/test/docs'],
      testMatch: ['**/*.spec.ts'],
      setupFilesAfterEnv: ['<rootDir>/tools/jest-patience.cjs'],
    },
  ],
};
