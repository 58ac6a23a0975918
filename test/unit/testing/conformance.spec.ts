/** The conformance suite without Redis; test/integration/conformance.int-spec.ts runs it with one. */
import { setImmediate as turn } from 'node:timers/promises';
import { budgetChangeCases } from '../../conformance/budget-change-cases.js';
import { budgetCases } from '../../conformance/budget-cases.js';
import { breakerCases } from '../../conformance/breaker-cases.js';
import { canvasCases } from '../../conformance/canvas-cases.js';
import { closedHeaderCases } from '../../conformance/closed-header-cases.js';
import { codecCanvasCases } from '../../conformance/codec-canvas-cases.js';
import { codecCases } from '../../conformance/codec-cases.js';
import { compositionCases } from '../../conformance/composition-cases.js';
import { deadlineCases } from '../../conformance/deadline-cases.js';
import { lateCases } from '../../conformance/late-cases.js';
import { amendedCases } from '../../conformance/amended-cases.js';
import { countsCases } from '../../conformance/counts-cases.js';
import { deadLetterCases } from '../../conformance/dead-letter-cases.js';
import { enhancerCases } from '../../conformance/enhancer-cases.js';
import { errorHookCases } from '../../conformance/error-hook-cases.js';
import { explainCases } from '../../conformance/explain-cases.js';
import { idempotencyCases } from '../../conformance/idempotency-cases.js';
import { itemCases } from '../../conformance/item-cases.js';
import { largeValueCases } from '../../conformance/large-value-cases.js';
import { limitCases } from '../../conformance/limit-cases.js';
import { lockCases } from '../../conformance/lock-cases.js';
import { outcomesCases } from '../../conformance/outcomes-cases.js';
import { overtakenClosingCases } from '../../conformance/overtaken-closing-cases.js';
import { rateLimitCases } from '../../conformance/rate-limit-cases.js';
import { eventCases } from '../../conformance/event-cases.js';
import { redriveCases } from '../../conformance/redrive-cases.js';
import { redriveReplacedCases } from '../../conformance/redrive-replaced-cases.js';
import { redriveClosedCases } from '../../conformance/redrive-closed-cases.js';
import { replacementCases } from '../../conformance/replacement-cases.js';
import { retryBudgetCases } from '../../conformance/retry-budget-cases.js';
import { retryCases } from '../../conformance/retry-cases.js';
import { revocationCases } from '../../conformance/revocation-cases.js';
import { taskCases } from '../../conformance/task-cases.js';
import { wideCases } from '../../conformance/wide-cases.js';
import { until, type World } from '../../conformance/world.js';
import { startMemoryApp } from '../../support/memory-app.js';

jest.setTimeout(30_000);

/** Goes by the machine's time and runs what is due as soon as it is, as workers do. */
const memory: World = {
  start: async (providers, options) => {
    const { connection: _none, ...rest } = options;
    const app = await startMemoryApp(providers, {
      ...rest,
      mode: 'stepwise',
      clock: 'system',
      stuckAfter: '1m',
      patience: '10ms',
      maxSteps: 100_000,
    });
    let isOpen = true;
    const worker = (async () => {
      for (; isOpen; await turn()) await app.queue.drain();
    })();
    return {
      workflows: app.workflows,
      get: (type) => app.module.get(type),
      quiet: () => until(() => app.queue.idle, 'nothing is left to do'),
      close: async () => {
        isOpen = false;
        await app.close();
        await worker;
      },
    };
  },
};

taskCases(memory);
enhancerCases(memory);
eventCases(memory);
canvasCases(memory);
retryCases(memory);
retryBudgetCases(memory);
errorHookCases(memory);
deadLetterCases(memory);
redriveCases(memory);
redriveReplacedCases(memory);
revocationCases(memory);
compositionCases(memory);
lockCases(memory);
wideCases(memory);
rateLimitCases(memory);
budgetCases(memory);
budgetChangeCases(memory);
closedHeaderCases(memory);
countsCases(memory);
redriveClosedCases(memory);
overtakenClosingCases(memory);
deadlineCases(memory);
lateCases(memory);
amendedCases(memory);
breakerCases(memory);
limitCases(memory);
idempotencyCases(memory);
explainCases(memory);
itemCases(memory);
largeValueCases(memory);
outcomesCases(memory);
replacementCases(memory);
codecCases(memory);
codecCanvasCases(memory);
