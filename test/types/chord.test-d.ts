import type { AsyncResult, Chord, Signature } from 'nestjs-task-queue';
import {
  CallbackWithOutcomes,
  CallbackWithSuccesses,
  ErrbackOnly,
  type Outcome,
  Tolerate,
} from 'nestjs-task-queue';
import { type ChordDecision, type ChordOutcome, ChordRecovery } from 'nestjs-task-queue';
import { type Contract, ContractTasks, MathTasks, type Report, type Summary } from './fixtures.js';
import { assertType, chain, chord, type Equal, group, tasks } from './support.js';

const contracts = tasks(ContractTasks);
const math = tasks(MathTasks);
declare const list: Contract[];
const header = list.map((contract) => contracts.processContract.s(contract));

declare class MoreTasks {
  pair(pair: [number, string]): boolean;
  either(values: (number | string)[]): boolean;
  outcomes(outcomes: [Outcome<number>, Outcome<string>]): boolean;
  partial(input: { known: number[] } | number[]): boolean;
  partialOnly(input: { known: number[] }): boolean;
}
const more = tasks(MoreTasks);

// Without a strategy the body gets the values of all members.
const report = chord(header, contracts.buildReport.s());
assertType<Equal<typeof report, Chord<[], Report>>>();
assertType<Equal<Awaited<ReturnType<typeof report.applyAsync>>, AsyncResult<Report>>>();
chord(new Set(header), contracts.buildReport.s());
chord(group(header), contracts.buildReport.s());
chord(header, contracts.ping.s());
chord(header, contracts.buildReport.si([]));
chord([], contracts.buildReport.s());
const annotated: Signature<[Summary[]], Report> = contracts.buildReport.s();
chord(header, annotated);

// The body's first argument follows the strategy.
chord(header, contracts.buildReport.s(), { recovery: ErrbackOnly });
chord(header, contracts.buildReport.s(), { recovery: CallbackWithSuccesses });
const settled = chord(header, contracts.buildFromOutcomes.s(), { recovery: CallbackWithOutcomes });
assertType<Equal<typeof settled, Chord<[], Report>>>();
// @ts-expect-error the body takes values, the strategy gives outcomes
chord(header, contracts.buildReport.s(), { recovery: CallbackWithOutcomes });
// @ts-expect-error the body takes outcomes, the strategy gives values
chord(header, contracts.buildFromOutcomes.s(), { recovery: CallbackWithSuccesses });
// @ts-expect-error the body takes outcomes, the default gives values
chord(header, contracts.buildFromOutcomes.s());

// A header that is written out gives a tuple, unless members may be left out.
const written = [math.double.s(1), math.text.s(1)] as const;
chord([math.double.s(1), math.text.s(1)], more.pair.s());
chord(written, more.pair.s());
chord(group([math.double.s(1), math.text.s(1)]), more.pair.s());
chord(written, more.pair.s(), { recovery: ErrbackOnly });
chord(written, more.either.s(), { recovery: CallbackWithSuccesses });
chord(written, more.outcomes.s(), { recovery: CallbackWithOutcomes });
// @ts-expect-error with a member left out the pair is no pair
chord(written, more.pair.s(), { recovery: CallbackWithSuccesses });
// @ts-expect-error the members come in the other order
chord([math.text.s(1), math.double.s(1)], more.pair.s());

// A budget: the body takes what the strategy within it gives, the values that are there if it names none.
chord(header, contracts.buildReport.s(), { recovery: Tolerate({ count: 1 }) });
chord(written, more.either.s(), { recovery: Tolerate({ percentage: 5 }) });
chord(written, more.pair.s(), { failFast: true });
chord(written, more.pair.s(), { recovery: Tolerate({ count: 0, recovery: ErrbackOnly }) });
chord(written, more.outcomes.s(), { recovery: Tolerate({ count: 1, recovery: CallbackWithOutcomes }) });
// @ts-expect-error within the budget a member may be left out
chord(written, more.pair.s(), { recovery: Tolerate({ count: 1 }) });
// @ts-expect-error the body takes outcomes, the budget gives values
chord(header, contracts.buildFromOutcomes.s(), { recovery: Tolerate({ count: 1 }) });
// @ts-expect-error a budget has no such limit
Tolerate({ most: 1 });

// A strategy of one's own.
class WithWhatIsKnown extends ChordRecovery<{ known: number[] }> {
  recover(outcome: ChordOutcome): ChordDecision {
    return { run: 'callback', args: [{ known: outcome.successes.map(({ value }) => value as number) }] };
  }
}
class Untyped extends ChordRecovery {
  recover(_outcome: ChordOutcome): ChordDecision {
    return { run: 'errback' };
  }
}
class Injected extends ChordRecovery<number[]> {
  constructor(private readonly limit: number) {
    super();
  }
  recover(outcome: ChordOutcome): ChordDecision {
    return outcome.failures.length > this.limit ? { run: 'errback' } : { run: 'callback', args: [[]] };
  }
}
chord([math.double.s(1)], more.partial.s(), { recovery: WithWhatIsKnown });
chord([math.double.s(1)], math.sum.s(), { recovery: Untyped });
chord([math.double.s(1)], math.sum.s(), { recovery: Injected });
// @ts-expect-error without a failure no strategy is asked, and the body gets the list
chord([math.double.s(1)], more.partialOnly.s(), { recovery: WithWhatIsKnown });
// @ts-expect-error the body does not take what the strategy gives
chord([math.double.s(1)], math.sum.s(), { recovery: WithWhatIsKnown });
// @ts-expect-error not a strategy
chord(header, contracts.buildReport.s(), { recovery: ContractTasks });
// @ts-expect-error strategies are named by their class
chord(header, contracts.buildReport.s(), { recovery: 'CallbackWithSuccesses' });

// Wrong bodies.
// @ts-expect-error the body takes numbers
chord(header, math.sum.s());
// @ts-expect-error the body takes one summary's report, not a list
chord(header, contracts.archive.s('2026'));
// @ts-expect-error a complete body would get the list in front of its arguments
chord(header, contracts.archive.s({ lines: 1 }, '2026'));
// @ts-expect-error the body still misses an argument
chord(header, math.add.s());
// @ts-expect-error the body is missing
chord(header);
// @ts-expect-error a maker is no body
chord(header, contracts.buildReport);

// Bodies of every kind.
chord(header, chain(contracts.buildReport.s(), contracts.archive.s('2026')));
const grouped = chord([math.double.s(1)], group([math.sum.s(), contracts.ping.s()]));
assertType<Equal<typeof grouped, Chord<[], [number, string]>>>();
const inner = chord([math.double.s(1)], chord([math.sum.s(), contracts.ping.s()], contracts.ping.s()));
assertType<Equal<typeof inner, Chord<[], string>>>();
// @ts-expect-error the inner header takes a string
chord([math.double.s(1)], chord([math.length.s()], contracts.ping.s()));

// Members of every kind; a chord misses what its header misses.
const sums = chord(
  [chain(math.double.s(1), math.double.s()), chord([math.double.s(1)], math.sum.s())],
  math.sum.s(),
);
assertType<Equal<typeof sums, Chord<[], number>>>();
const missing = chord([math.double.s(), math.add.s(2)], math.sum.s());
assertType<Equal<typeof missing, Chord<[number], number>>>();
void missing.delay(1);
chain(math.double.s(1), missing, math.text.s());
chain(math.double.s(1), sums.immutable(), math.text.s());
// @ts-expect-error the header misses a number
void missing.delay();
// @ts-expect-error the header is complete
chain(math.double.s(1), sums);

// Callbacks of the whole.
report.link(contracts.archive.s('2026')).linkError(contracts.onFailure.s('ops'));
// @ts-expect-error the chord's value is a report
report.link(contracts.buildReport.s());
