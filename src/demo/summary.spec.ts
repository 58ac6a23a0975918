import { type DemoRun, problemsOf, summaryOf } from './summary.js';

const id = '0f8fad5b-d9cb-469f-a165-70867728950e';
const good: DemoRun = {
  view: {
    id,
    state: 'SUCCESS',
    counts: { size: 4, succeeded: 3, failed: 1, pending: 0 },
    progress: 1,
    summary: {
      title: 'Audit',
      members: 4,
      succeeded: 3,
      failed: 1,
      failures: { MISSING_LICENCE_TEXT: 1 },
      contradictions: 0,
      path: `${id}/report.html`,
    },
    links: { self: '', events: '', report: '' },
  },
  runs: { memberRuns: 7, membersRun: 4, callbackRuns: 1, retries: 1 },
  packages: 4,
  document: '<html></html>',
  seconds: 2,
  killed: 1,
  reportsDir: '/reports',
  logFile: '/reports/demo.log',
};

describe('problemsOf', () => {
  it('finds nothing wrong with a good run', () => {
    expect(problemsOf(good)).toEqual([]);
    expect(problemsOf({ ...good, killed: undefined })).toEqual([]);
  });

  it.each<[Partial<DemoRun>, string]>([
    [{ packages: 5 }, '5 packages were to be audited, the report has 4'],
    [{ runs: { ...good.runs, membersRun: 3 } }, '3 of 4 members were run at all'],
    [{ runs: { ...good.runs, callbackRuns: 2 } }, 'the callback ran 2 times instead of once'],
    [{ runs: { ...good.runs, callbackRuns: 0 } }, 'the callback ran 0 times instead of once'],
    [{ document: undefined }, 'the report was not delivered'],
    [{ killed: 0 }, 'the run was over before a worker could be killed; give it more packages'],
    [
      { view: { ...good.view, counts: { size: 4, succeeded: 2, failed: 1, pending: 1 } } },
      'the API counts 2 + 1, the report 3 + 1',
    ],
    [
      {
        view: {
          id,
          state: 'FAILURE',
          error: { code: 'TIME_LIMIT_EXCEEDED', reason: 'time-limit', message: 'too long' },
          links: good.view.links,
        },
      },
      'the audit ended as FAILURE: TIME_LIMIT_EXCEEDED, too long',
    ],
  ])('%j', (change, problem) => {
    expect(problemsOf({ ...good, ...change })).toContain(problem);
  });
});

describe('summaryOf', () => {
  it('shows the numbers, and says what happened more than once', () => {
    const text = summaryOf(good);
    expect(text).toMatch(/members +4\n +succeeded +3\n +failed +1 +MISSING_LICENCE_TEXT 1\n/);
    expect(text).toMatch(/retries +1\n +wall time +2\.0 s\n +rate +2\/s\n +callback runs +1\n/);
    expect(text).toMatch(/executions +7 +2 started again after the kill: delivery is at least once\n/);
    expect(text).toContain(`report  /reports/${id}/report.html`);
  });

  it('does not speak of kills where none was asked for', () => {
    expect(summaryOf({ ...good, killed: undefined })).not.toMatch(/kill|executions/);
  });
});
