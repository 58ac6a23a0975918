import { CallbackRelease } from '../execution/publish-callbacks.js';
import { ChordRecoverer } from '../execution/chord-recoverer.js';
import { DeadlineTimer } from '../execution/deadline-timer.js';
import type { FailureSettling } from '../execution/failure-settling.js';
import { HeaderJudge } from '../execution/header-judge.js';
import { LateMembers } from '../execution/late-members.js';
import { NodeProcessor } from '../execution/node-processor.js';
import type { WorkerParts } from './worker-parts.js';

/** What leads the composites of an engine. */
export function nodeProcessorOf(engine: WorkerParts, failures: FailureSettling): NodeProcessor {
  const {
    ledger,
    reader,
    publisher,
    clock,
    log,
    strategies,
    options,
    revocation,
    hooks,
    tellCanvas,
    values,
  } = engine;
  const { headers, jobs, refills } = engine.backend;
  const context = () => engine.compileContext();
  return new NodeProcessor({
    ledger,
    reader,
    publisher,
    refills,
    callbacks: new CallbackRelease(publisher, context, tellCanvas, log),
    recoverer: new ChordRecoverer(ledger, reader, strategies, clock, values),
    judge: new HeaderJudge({ ledger, headers, publisher, jobs, revocation, clock, log }),
    timer: new DeadlineTimer(headers, clock),
    late: new LateMembers({
      ledger,
      headers,
      jobs,
      reader,
      publisher,
      context,
      clock,
      log,
      tell: tellCanvas,
    }),
    revocation,
    failures,
    hooks,
    context,
    resultExpiresMs: options.defaults.resultExpiresMs,
    inlineCharacters: options.limits.inlineCharacters,
    clock,
    log,
    tell: tellCanvas,
    discretion: engine.discretion,
  });
}
