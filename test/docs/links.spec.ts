import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { filesEndingIn, proseOf, read, root } from './workspace.js';

interface Link {
  readonly file: string;
  readonly target: string;
}

/** Links and images, inline and as reference definitions. */
function linksOf(file: string): Link[] {
  const prose = proseOf(file).replace(/`[^`\n]*`/g, '');
  const inline = [...prose.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g)];
  const definitions = [...prose.matchAll(/^\s*\[[^\]]+\]:\s*<?([^\s>]+)>?/gm)];
  const html = [...prose.matchAll(/\b(?:src|href)="([^"]+)"/g)];
  return [...inline, ...definitions, ...html].map(([, target = '']) => ({ file, target }));
}

/** Anchors as GitHub makes them of headings, and those that are written out. */
function anchorsOf(file: string): Set<string> {
  const seen = new Map<string, number>();
  const anchors = new Set<string>();
  for (const [, heading = ''] of proseOf(file).matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const slug = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    anchors.add(count === 0 ? slug : `${slug}-${count}`);
  }
  for (const [, name = ''] of read(file).matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(name);
  return anchors;
}

function problemOf({ file, target }: Link): string | undefined {
  if (/^[a-z][a-z\d+.-]*:/i.test(target)) return undefined;
  const [path = '', anchor] = target.split('#');
  if (path.startsWith('/')) return `${file}: ${target} does not start at this file`;
  const linked = path === '' ? file : join(dirname(file), decodeURIComponent(path));
  if (linked.startsWith('..')) return `${file}: ${target} leads out of the repository`;
  if (!existsSync(join(root, linked))) return `${file}: ${target} does not exist`;
  if (anchor !== undefined && linked.endsWith('.md') && !anchorsOf(linked).has(anchor))
    return `${file}: ${target} names no heading`;
  return undefined;
}

describe('links of documents', () => {
  const documents = filesEndingIn('.md');

  it('are found at all', () => {
    expect(documents).toEqual(expect.arrayContaining(['CONTRIBUTING.md', 'docs/errors.md']));
    expect(documents.flatMap(linksOf).length).toBeGreaterThan(0);
  });

  it.each(documents)('lead somewhere in %s', (file) => {
    expect(linksOf(file).flatMap((link) => problemOf(link) ?? [])).toEqual([]);
  });

  it('are reported when they lead nowhere', () => {
    const file = 'CONTRIBUTING.md';
    expect(problemOf({ file, target: 'docs/no-such-file.md' })).toContain('does not exist');
    expect(problemOf({ file, target: 'docs/errors.md#no-such-heading' })).toContain('names no heading');
    expect(problemOf({ file, target: '../outside.md' })).toContain('leads out');
    expect(problemOf({ file, target: 'docs/errors.md#invalid_options' })).toBeUndefined();
    expect(problemOf({ file, target: 'https://example.com/#anything' })).toBeUndefined();
  });
});
