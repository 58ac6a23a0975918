/** Reads what a manifest says about the licence, in all the forms that npm has allowed over the years. */
import correct from 'spdx-correct';
import { parseExpression } from './licence-expression.js';
import type { PackageManifest } from './package-manifest.js';

/** The declaration of a package, brought into one form. */
export interface DeclaredLicence {
  /**
   * - `spdx`: an SPDX expression, given as such or corrected into one
   * - `file`: the manifest points to a file (`SEE LICENSE IN …`)
   * - `unlicensed`: the author grants no licence (`UNLICENSED`)
   * - `unreadable`: something is declared, but it names no licence
   * - `none`: nothing is declared
   */
  kind: 'spdx' | 'file' | 'unlicensed' | 'unreadable' | 'none';
  /** The declaration as the manifest has it, in short; null when it has none. */
  raw: string | null;
  /** The SPDX expression, for the kind `spdx`. */
  expression: string | null;
  /** The file pointed to, for the kind `file`. */
  file: string | null;
  /** What a reader of the audit should know about the form of the declaration. */
  notes: string[];
}

const LONGEST_DECLARATION = 300;

/** Brings the `license` or `licenses` field of a manifest into one form. */
export function readDeclaration({
  license,
  licenses,
}: Pick<PackageManifest, 'license' | 'licenses'>): DeclaredLicence {
  const given = license ?? licenses;
  if (given === undefined || given === null || given === '') return declaration('none', null);
  if (typeof given === 'string') return readString(given.slice(0, LONGEST_DECLARATION).trim());
  const types = (Array.isArray(given) ? given : [given]).map(typeOf).filter((type) => type !== undefined);
  if (types.length === 0) return unreadable(JSON.stringify(given).slice(0, LONGEST_DECLARATION));
  // The list form meant a choice; npm replaced it by "(A OR B)".
  const alternatives = types.map((type) => (types.length > 1 ? `(${correct(type) ?? type})` : type));
  const read = readString(alternatives.join(' OR ').slice(0, LONGEST_DECLARATION));
  const form = Array.isArray(given) ? 'a "licenses" list' : 'a licence object';
  return {
    ...read,
    notes: [`Declared as ${form}, a form that npm gave up for SPDX expressions.`, ...read.notes],
  };
}

function readString(raw: string): DeclaredLicence {
  if (/^UNLICEN[SC]ED$/i.test(raw)) return { ...declaration('unlicensed', raw) };
  const file = /^SEE LICEN[SC]E IN (.+)$/i.exec(raw)?.[1];
  if (file !== undefined) return { ...declaration('file', raw), file: file.trim().replace(/^<(.*)>$/, '$1') };
  if (parseExpression(raw)) return { ...declaration('spdx', raw), expression: raw };
  const corrected = raw === '' ? null : correct(raw);
  if (corrected === null) return unreadable(raw);
  const note = `"${raw}" is not an SPDX expression; read as ${corrected}.`;
  return { ...declaration('spdx', raw), expression: corrected, notes: [note] };
}

/** The `type` of a licence object, or the licence itself when the list holds plain strings. */
function typeOf(licence: unknown): string | undefined {
  if (typeof licence === 'string') return licence;
  if (typeof licence !== 'object' || licence === null) return undefined;
  const { type, name } = licence as { type?: unknown; name?: unknown };
  return [type, name].find((value) => typeof value === 'string');
}

function unreadable(raw: string): DeclaredLicence {
  return {
    ...declaration('unreadable', raw),
    notes: [`The declaration "${raw}" names no licence of the SPDX list.`],
  };
}

function declaration(kind: DeclaredLicence['kind'], raw: string | null): DeclaredLicence {
  return { kind, raw, expression: null, file: null, notes: [] };
}
