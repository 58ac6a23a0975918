/** The conformance suite on a real Redis; test/unit/testing/conformance.spec.ts runs it without one. */
import { budgetChangeCases } from '../conformance/budget-change-cases.js';
import { budgetCases } from '../conformance/budget-cases.js';
import { breakerCases } from '../conformance/breaker-cases.js';
import { canvasCases } from '../conformance/canvas-cases.js';
import { closedHeaderCases } from '../conformance/closed-header-cases.js';
import { codecCanvasCases } from '../conformance/codec-canvas-cases.js';
import { codecCases } from '../conformance/codec-cases.js';
import { compositionCases } from '../conformance/composition-cases.js';
import { deadlineCases } from '../conformance/deadline-cases.js';
import { lateCases } from '../conformance/late-cases.js';
import { amendedCases } from '../conformance/amended-cases.js';
import { countsCases } from '../conformance/counts-cases.js';
import { deadLetterCases } from '../conformance/dead-letter-cases.js';
import { enhancerCases } from '../conformance/enhancer-cases.js';
import { errorHookCases } from '../conformance/error-hook-cases.js';
import { explainCases } from '../conformance/explain-cases.js';
import { idempotencyCases } from '../conformance/idempotency-cases.js';
import { itemCases } from '../conformance/item-cases.js';
import { largeValueCases } from '../conformance/large-value-cases.js';
import { limitCases } from '../conformance/limit-cases.js';
import { lockCases } from '../conformance/lock-cases.js';
import { outcomesCases } from '../conformance/outcomes-cases.js';
import { overtakenClosingCases } from '../conformance/overtaken-closing-cases.js';
import { rateLimitCases } from '../conformance/rate-limit-cases.js';
import { eventCases } from '../conformance/event-cases.js';
import { redriveCases } from '../conformance/redrive-cases.js';
import { redriveReplacedCases } from '../conformance/redrive-replaced-cases.js';
import { redriveClosedCases } from '../conformance/redrive-closed-cases.js';
import { replacementCases } from '../conformance/replacement-cases.js';
import { retryBudgetCases } from '../conformance/retry-budget-cases.js';
import { retryCases } from '../conformance/retry-cases.js';
import { revocationCases } from '../conformance/revocation-cases.js';
import { taskCases } from '../conformance/task-cases.js';
import { wideCases } from '../conformance/wide-cases.js';
import type { World } from '../conformance/world.js';
import { startApp } from '../support/canvas-runner.js';

const redis: World = {
  start: async (providers, options) => {
    const app = await startApp(providers, options);
    return {
      workflows: app.workflows,
      get: (type) => app.module.get(type),
      quiet: () => app.quiet('narrow'),
      close: () => app.close(),
    };
  },
};

taskCases(redis);
enhancerCases(redis);
eventCases(redis);
canvasCases(redis);
retryCases(redis);
retryBudgetCases(redis);
errorHookCases(redis);
deadLetterCases(redis);
redriveCases(redis);
redriveReplacedCases(redis);
revocationCases(redis);
compositionCases(redis);
lockCases(redis);
wideCases(redis);
rateLimitCases(redis);
budgetCases(redis);
budgetChangeCases(redis);
closedHeaderCases(redis);
countsCases(redis);
redriveClosedCases(redis);
overtakenClosingCases(redis);
deadlineCases(redis);
lateCases(redis);
amendedCases(redis);
breakerCases(redis);
limitCases(redis);
idempotencyCases(redis);
explainCases(redis);
itemCases(redis);
largeValueCases(redis);
outcomesCases(redis);
replacementCases(redis);
codecCases(redis);
codecCanvasCases(redis);
