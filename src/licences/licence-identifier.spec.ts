import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import licences from 'spdx-license-list/full.js';
import { NumberedGrams } from './best-window.js';
import { LicenceIdentifier } from './licence-identifier.js';
import { LicenceIndex } from './licence-index.js';

const spdxText = (id: string) => licences[id]?.licenseText ?? '';
const installed = (path: string) => readFile(join('node_modules', path), 'utf8');
const words = (count: number) => Array.from({ length: count }, (_, at) => `gibberish${at}`).join(' ');

/** The text as somebody may have pasted it: other case and line breaks, comment marks, own copyright line. */
function pasted(text: string): string {
  const lines = text.toUpperCase().match(/.{1,60}(?:\s|$)|\S+/g) ?? [];
  return ['/*', ' * Copyright (c) 2024 Jane Doe', ...lines.map((line) => ` *  ${line.trim()}`), ' */'].join(
    '\n',
  );
}

describe('LicenceIdentifier', () => {
  const identifier = new LicenceIdentifier();
  const idsIn = async (text: string) => (await identifier.identify(text)).matches.map(({ id }) => id);

  it.each([
    ['MIT', 'ms/license.md'],
    ['ISC', 'semver/LICENSE'],
    ['BSD-2-Clause', 'esprima/LICENSE.BSD'],
    ['BSD-3-Clause', 'sprintf-js/LICENSE'],
    ['Apache-2.0', 'rxjs/LICENSE.txt'],
    ['0BSD', 'tslib/LICENSE.txt'],
    ['CC0-1.0', 'spdx-license-list/license'],
    ['BlueOak-1.0.0', 'minimatch/LICENSE.md'],
    ['CC-BY-4.0', 'caniuse-lite/LICENSE'],
  ])('recognises %s in %s', async (id, path) => {
    const { matches, coverage } = await identifier.identify(await installed(path));
    expect(matches).toMatchObject([{ id }]);
    expect(matches[0]?.confidence).toBeGreaterThan(0.9);
    expect(coverage).toBeGreaterThan(0.9);
  });

  it.each([
    ...[
      'MIT',
      'ISC',
      'BSD-2-Clause',
      'BSD-3-Clause',
      'Apache-2.0',
      '0BSD',
      'CC0-1.0',
      'Unlicense',
      'Python-2.0',
    ],
    ...[
      'BlueOak-1.0.0',
      'CC-BY-4.0',
      'MPL-2.0',
      'GPL-2.0-only',
      'LGPL-3.0-only',
      'AGPL-3.0-only',
      'MIT-0',
      'Zlib',
    ],
  ])('recognises a pasted %s', async (id) => {
    expect(await idsIn(pasted(spdxText(id)))).toEqual([id]);
  });

  it('recognises the short notice of a licence', async () => {
    const apache = 'Copyright 2020 Acme\n\n' + spdxText('Apache-2.0').split('[name of copyright owner]')[1];
    const mozilla = spdxText('MPL-2.0').split('Exhibit A - Source Code Form License Notice')[1] ?? '';
    expect(await idsIn(apache)).toEqual(['Apache-2.0']);
    expect(await idsIn(mozilla.slice(0, 280))).toEqual(['MPL-2.0']);
  });

  it('finds every licence of a file, in order of appearance', async () => {
    const text = [
      'Our code:',
      spdxText('Apache-2.0'),
      words(40),
      spdxText('MIT'),
      spdxText('BSD-3-Clause'),
    ].join('\n\n');
    expect(await idsIn(text)).toEqual(['Apache-2.0', 'MIT', 'BSD-3-Clause']);
  });

  it('names a licence once, although the file repeats it for each author', async () => {
    const { matches, coverage } = await identifier.identify(`${spdxText('MIT')}\n\n${spdxText('MIT')}`);
    expect(matches).toMatchObject([{ id: 'MIT', confidence: 1 }]);
    expect(coverage).toBeGreaterThan(0.95);
  });

  it('says how much of the file is not part of a licence', async () => {
    const { coverage } = await identifier.identify(`${spdxText('MIT')}\n\n${words(160)}`);
    expect(coverage).toBeCloseTo(0.5, 1);
  });

  it('names the other ids of the same wording as alternatives', async () => {
    const { matches } = await identifier.identify(spdxText('GPL-3.0-only'));
    expect(matches).toMatchObject([
      { id: 'GPL-3.0-only', alternatives: [{ id: 'GPL-3.0-or-later', confidence: 1 }] },
    ]);
  });

  it.each([
    '',
    'MIT',
    words(300),
    'Copyright (c) 2024 Jane Doe. All rights reserved. No part may be copied.',
  ])('leaves %.40j unidentified', async (text) => {
    expect(await identifier.identify(text)).toMatchObject({ matches: [], coverage: 0 });
  });

  it('names the nearest licence for a text that it cannot identify', async () => {
    const mangled = spdxText('MIT').replace(/\b(\w{9,})\b/g, 'mangled');
    const { matches, closest } = await identifier.identify(mangled);
    expect(matches).toEqual([]);
    expect(closest?.id).toBe('MIT');
    expect(closest?.confidence).toBeLessThan(0.8);
  });

  it('recognises each text of the SPDX list as itself', async () => {
    const wrong: string[] = [];
    for (const id of [
      'MIT',
      'X11',
      'HPND',
      'JSON',
      'NCSA',
      'PSF-2.0',
      'CNRI-Python',
      'EPL-2.0',
      'Artistic-2.0',
      'OFL-1.1',
    ]) {
      const [match] = (await identifier.identify(spdxText(id))).matches;
      const ids = [
        match?.id,
        ...(match?.alternatives ?? []).filter((a) => a.confidence === 1).map((a) => a.id),
      ];
      if (!ids.includes(id)) wrong.push(`${id} as ${match?.id}`);
    }
    expect(wrong).toEqual([]);
  });

  it('builds its index once, and compares a text closely with a handful of the references only', async () => {
    const loads = jest.spyOn(LicenceIndex, 'load');
    const closely = jest.spyOn(NumberedGrams.prototype, 'bestWindow');
    const fresh = new LicenceIdentifier();
    await Promise.all(['MIT', 'Apache-2.0'].map((id) => fresh.identify(spdxText(id))));
    expect(loads).toHaveBeenCalledTimes(1);

    closely.mockClear();
    await fresh.identify(spdxText('Apache-2.0'));
    const references = new Set(closely.mock.calls.map(([reference]) => reference));
    expect(references.size).toBeGreaterThan(0);
    expect(references.size).toBeLessThanOrEqual(24);
    expect(Object.keys(licences).length).toBeGreaterThan(600);
    jest.restoreAllMocks();
  });
});
