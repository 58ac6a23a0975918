import { ERROR_CODES, type ErrorCode } from 'nestjs-task-queue';
import { filesEndingIn, read } from './workspace.js';

const codes = Object.keys(ERROR_CODES) as ErrorCode[];

/** The sections of docs/errors.md, by the code in their heading. */
const sections = new Map(
  read('docs/errors.md')
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const [heading = '', ...body] = section.split('\n');
      return [heading.replaceAll('`', '').trim(), body.join('\n')] as const;
    }),
);

/** Which class carries which code, as the sources declare it. */
const classes = filesEndingIn('.ts', 'libs/task-queue/src/errors').flatMap((file) =>
  [
    ...read(file).matchAll(/class (\w+) extends \w+ \{\s*(?:\/\*\*[^/]*\*\/\s*)*readonly code = '(\w+)'/g),
  ].map(([, name = '', code = '']) => ({ name, code })),
);

describe('docs/errors.md', () => {
  it('documents every code, and no other', () => {
    expect([...sections.keys()].sort()).toEqual([...codes].sort());
  });

  it.each(codes)('says cause and remedy of %s', (code) => {
    const section = sections.get(code) ?? '';
    const [, cause = ''] = /- \*\*Cause:\*\*([\s\S]*?)- \*\*Remedy:\*\*/.exec(section) ?? [];
    const [, remedy = ''] = /- \*\*Remedy:\*\*([\s\S]*?)(?:\n\n|$)/.exec(section) ?? [];
    expect(cause.trim().length).toBeGreaterThan(20);
    expect(remedy.trim().length).toBeGreaterThan(20);
  });

  it('names the class of every code', () => {
    expect(classes.map(({ code }) => code).sort()).toEqual([...codes].sort());
    const named = classes.map(({ code }) => ({
      code,
      name: /Class: `(\w+)`/.exec(sections.get(code) ?? '')?.[1],
    }));
    expect(named).toEqual(classes.map(({ code, name }) => ({ code, name })));
  });

  it('says of every field that the class of a code has it', () => {
    const sources = filesEndingIn('.ts', 'libs/task-queue/src/errors').map(read).join('\n');
    const fields = [...sections.values()].flatMap((section) => {
      const [, list = ''] = /Class: `\w+`, with ([^.\n]*)/.exec(section) ?? [];
      return [...list.matchAll(/`(\w+)`/g)].map(([, field = '']) => field);
    });
    expect(fields.filter((field) => !sources.includes(`readonly ${field}`))).toEqual([]);
  });
});
