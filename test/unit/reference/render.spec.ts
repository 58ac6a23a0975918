import {
  chain,
  chord,
  group,
  immutableTask,
  task,
  withErrback,
  withLink,
} from '../../support/reference/canvas-model.js';
import { render } from '../../support/reference/render.js';

describe('render', () => {
  it.each([
    [task('add', 1, [2, 'x']), 'add(1, [2,"x"])'],
    [immutableTask('ident'), 'ident!()'],
    [group(), 'group()'],
    [chain(task('ident', 1), group(task('fail', 't'))), 'chain(ident(1), group(fail("t")))'],
    [chord([], task('sum')), 'chord([], sum())'],
    [
      withErrback(
        withLink(chord([task('ident', 1)], withErrback(task('list'), 'E1'), 'callback-with-outcomes'), 'L2'),
        'E3',
      ),
      'chord([ident(1)], list().linkError(E1), CallbackWithOutcomes).link(L2).linkError(E3)',
    ],
    [
      chord([task('ident')], task('sum'), 'callback-with-successes'),
      'chord([ident()], sum(), CallbackWithSuccesses)',
    ],
  ])('%j is one readable line', (canvas, line) => {
    expect(render(canvas)).toBe(line);
  });
});
