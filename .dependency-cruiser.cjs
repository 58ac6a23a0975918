// @ts-check
/**
 * Who may import whom. A file imports from its own folder and from earlier ones, never from later ones; types
 * count as well. So the folders can be read in this order, and a circle between two of them cannot exist.
 */
const order = [
  'primitives',
  'failure',
  'errors',
  'retry',
  'rate-limit',
  'breaker',
  'task',
  'canvas',
  'chords',
  'codec',
  'flow',
  'options',
  'backend',
  'locks',
  'results',
  'idempotency',
  'execution',
  'doctor',
  'pool',
  'engine',
  'memory',
  'broker',
  'workflows',
  'nest',
  // Entry points of their own: parts that not every application wants.
  'health',
  'microservice',
  'testing',
];
/** Folders that know Nest. */
const nestFolders = ['nest', 'health', 'microservice', 'testing'];
/** Folders that are an entry point, `nestjs-task-queue/<folder>`. */
const entryFolders = ['health', 'microservice', 'testing'];

const library = '^libs/task-queue/src/';
/** @param {readonly string[]} folders */
const inside = (folders) => `${library}(?:${folders.join('|')})/`;
/** @param {string} names */
const fromNpm = (names) => `(?:^|/)node_modules/(?:${names})(?:/|$)`;

/** @type {import('dependency-cruiser').DependencyType[]} */
const types = ['type-only', 'type-import'];
const testFile = '\\.(?:spec|int-spec|test-d|fixture)\\.ts$';

/**
 * @param {string} name
 * @param {string} comment
 * @param {import('dependency-cruiser').IRegularForbiddenRuleType['from']} from
 * @param {import('dependency-cruiser').IRegularForbiddenRuleType['to']} to
 * @returns {import('dependency-cruiser').IRegularForbiddenRuleType}
 */
const rule = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

/** One rule for each folder: what comes after it is out of reach. The entry point stands at the end. */
const folderOrder = order.map((folder, index) =>
  rule(
    `order-${folder}`,
    `${folder}/ may import ${order.slice(0, index).join(', ') || 'nothing of the library but itself'}.`,
    { path: inside([folder]) },
    { path: [...order.slice(index + 1).map((later) => inside([later])), `${library}index\\.ts$`] },
  ),
);

const placed = `${library}(?:(?:${order.join('|')})/|index\\.ts$)`;
const entries = `${library}(?:(?:${entryFolders.join('|')})/)?index\\.ts$`;

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...folderOrder,
    rule('no-circle', 'No circles, not even inside a folder; types count as well.', {}, { circular: true }),
    rule(
      'folder-has-a-place',
      'A new folder gets its place in the order above.',
      { path: library, pathNot: placed },
      {},
    ),
    rule(
      'folder-has-a-place-of-target',
      'A new folder gets its place in the order above.',
      {},
      { path: library, pathNot: placed },
    ),
    rule(
      'bullmq-values-in-broker',
      'Only broker/ talks to BullMQ and ioredis.',
      { path: library, pathNot: inside(['broker']) },
      { path: fromNpm('bullmq|ioredis'), dependencyTypesNot: types },
    ),
    rule(
      'bullmq-types-in-options',
      'Beyond broker/, only options/ may name the types of BullMQ and ioredis.',
      { path: library, pathNot: inside(['broker', 'options']) },
      { path: fromNpm('bullmq|ioredis') },
    ),
    rule(
      'nest-in-nest',
      'The engine works without Nest.',
      { path: library, pathNot: [inside(nestFolders), `${library}index\\.ts$`] },
      { path: fromNpm('@nestjs') },
    ),
    rule(
      'terminus-in-health',
      '@nestjs/terminus is optional: only the entry point health/ may need it.',
      { path: library, pathNot: inside(['health']) },
      { path: fromNpm('@nestjs/terminus') },
    ),
    rule(
      'microservices-in-microservice',
      '@nestjs/microservices is optional: only the entry point microservice/ may need it.',
      { path: library, pathNot: inside(['microservice']) },
      { path: fromNpm('@nestjs/microservices') },
    ),
    rule(
      'library-declares-its-packages',
      'What the library imports stands in libs/task-queue/package.json.',
      { path: library, pathNot: testFile },
      // An optional peer counts as both: a peer, and unknown to peerDependenciesMeta.
      { dependencyTypes: ['npm-no-pkg', 'npm-dev', 'npm-unknown'], dependencyTypesNot: ['npm', 'npm-peer'] },
    ),
    rule(
      'library-by-name',
      'The application and the tests import the library as a user does: by its name.',
      { path: '^(?:src|bench|torture|test)/', pathNot: '^test/(?:integration|support|unit/protocol)/' },
      { path: library, dependencyTypesNot: ['aliased'] },
    ),
    rule(
      'library-not-by-own-name',
      'Inside the library, files import each other by path.',
      { path: library },
      { path: library, dependencyTypes: ['aliased'] },
    ),
    rule(
      'library-knows-no-application',
      'The library stands alone.',
      { path: library, pathNot: testFile },
      { path: '^(?:src|bench|torture|tools)/' },
    ),
    rule(
      'no-inner-index',
      'Import the file that declares a thing; only entry points collect.',
      { path: `${library}.*index\\.ts$`, pathNot: entries },
      {},
    ),
    rule(
      'no-inner-index-of-target',
      'Import the file that declares a thing; only entry points collect.',
      {},
      { path: `${library}.*index\\.ts$`, pathNot: entries },
    ),
    rule(
      'no-tests-in-production',
      'What is shipped does not import tests.',
      { path: '^(?:libs/[^/]+/src|src)/', pathNot: testFile },
      { path: ['^test/', testFile] },
    ),
    rule('resolvable', 'An import that cannot be resolved cannot be judged.', {}, { couldNotResolve: true }),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    exclude: { path: ['^dist/', '^libs/[^/]+/dist/'] },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
    },
  },
};
