import fs from 'node:fs/promises';
import { PackageInventory } from './package-inventory.js';
import { ManifestProblem, readManifest } from './package-manifest.js';
import { transientCode } from './transient-error.js';

const refusal = (code: string) => Object.assign(new Error(`${code}: open`), { code });

afterEach(() => jest.restoreAllMocks());

it('tells what passes by itself from what stays', () => {
  expect(transientCode(refusal('EMFILE'))).toBe('EMFILE');
  expect(transientCode(refusal('EBUSY'))).toBe('EBUSY');
  for (const other of [refusal('EACCES'), new Error('plain'), 'EMFILE', undefined]) {
    expect(transientCode(other)).toBeUndefined();
  }
});

it('does not blame a manifest for a busy file system', async () => {
  const readFile = jest.spyOn(fs, 'readFile').mockRejectedValueOnce(refusal('EMFILE'));
  await expect(readManifest('anywhere')).rejects.toThrow('EMFILE: open');
  readFile.mockRejectedValueOnce(refusal('EACCES'));
  await expect(readManifest('anywhere')).rejects.toThrow(ManifestProblem);
});

it('does not take a folder for empty that cannot be listed now', async () => {
  const readdir = jest.spyOn(fs, 'readdir').mockRejectedValueOnce(refusal('ENFILE'));
  await expect(new PackageInventory().list('anywhere')).rejects.toThrow('ENFILE');
  readdir.mockRejectedValueOnce(refusal('ENOENT'));
  await expect(new PackageInventory().list('anywhere')).resolves.toEqual({ packages: [], broken: [] });
});
