/**
 * What the well-known licences ask for, as data. A plain summary for a first sorting, not legal advice: a
 * licence that is not listed is `unknown` and asks for a review by hand.
 */

/** How far a licence reaches into the work that uses it. */
export type LicenceCategory =
  'public-domain' | 'permissive' | 'weak-copyleft' | 'strong-copyleft' | 'proprietary' | 'unknown';

/** The categories from the freest to the one that needs most care. */
export const CATEGORIES: readonly LicenceCategory[] = [
  'public-domain',
  'permissive',
  'weak-copyleft',
  'strong-copyleft',
  'proprietary',
  'unknown',
];

/** Every obligation that is told apart, in plain words. */
export const OBLIGATIONS = {
  'include-licence': 'Include the licence text',
  'include-copyright': 'Keep the copyright notices',
  'include-notice-file': 'Pass on the NOTICE file, if there is one',
  'credit-author': 'Credit the author',
  'state-changes': 'State your changes',
  'no-endorsement': 'Do not advertise with the names of the authors',
  'no-trademark-use': 'Do not use the trademarks',
  'advertising-clause': 'Acknowledge the authors in advertising',
  'disclose-changed-files': 'Disclose the source of changed files',
  'disclose-library': 'Disclose the source of the library and let users replace it',
  'disclose-source': 'Disclose the source of the whole work',
  'same-licence': 'Put derived works under the same licence',
  'network-use-is-distribution': 'Offer the source to users over a network',
  'no-commercial-use': 'Do not use it commercially',
  'no-derivatives': 'Do not pass on changed versions',
  'ask-permission': 'Ask the owner for permission',
  'review-by-hand': 'Have the licence reviewed',
} as const satisfies Record<string, string>;

/** The name of an obligation. */
export type Obligation = keyof typeof OBLIGATIONS;

/** What one licence, or an expression of several, amounts to. */
export interface LicenceTerms {
  category: LicenceCategory;
  obligations: Obligation[];
}

/** One row of the catalogue: licences with the same terms. */
export interface CatalogueEntry extends LicenceTerms {
  /** SPDX ids without `-only`, `-or-later` and `+`, which do not change the terms. */
  readonly ids: readonly string[];
}

const KEEP_NOTICES: readonly Obligation[] = ['include-licence', 'include-copyright'];

/** The licences that are known, grouped by their terms. */
export const LICENCE_CATALOGUE: readonly CatalogueEntry[] = [
  {
    category: 'public-domain',
    obligations: [],
    ids: idsIn('CC0-1.0 Unlicense PDDL-1.0 CC-PDDC CC-PDM-1.0 SAX-PD blessing NIST-PD ANTLR-PD'),
  },
  { category: 'permissive', obligations: [], ids: idsIn('0BSD MIT-0 WTFPL FSFAP') },
  {
    category: 'permissive',
    obligations: [...KEEP_NOTICES],
    ids: idsIn(`
      MIT ISC BSD-1-Clause BSD-2-Clause BSD-2-Clause-Views BSD-2-Clause-Patent X11 MITNFA
      MIT-CMU HPND HPND-sell-variant NTP ICU curl JSON UPL-1.0 BSL-1.0 MS-PL PostgreSQL
      Unicode-DFS-2015 Unicode-DFS-2016 Unicode-3.0 W3C-19980720 NAIST-2003 Beerware
      MulanPSL-2.0 TCL
    `),
  },
  { category: 'permissive', obligations: ['include-licence'], ids: idsIn('BlueOak-1.0.0') },
  {
    category: 'permissive',
    obligations: [...KEEP_NOTICES, 'state-changes'],
    ids: idsIn(`
      Zlib Libpng libpng-2.0 bzip2-1.0.6 Python-2.0 Python-2.0.1 PSF-2.0 CNRI-Python W3C
      W3C-20150513 FTL Artistic-1.0 Artistic-2.0 ClArtistic
    `),
  },
  {
    category: 'permissive',
    obligations: [...KEEP_NOTICES, 'no-endorsement'],
    ids: idsIn(`
      BSD-3-Clause BSD-3-Clause-Clear BSD-3-Clause-LBNL NCSA MIT-Modern-Variant PHP-3.01
      AFL-3.0
    `),
  },
  {
    category: 'permissive',
    obligations: [...KEEP_NOTICES, 'no-endorsement', 'advertising-clause'],
    ids: idsIn('BSD-4-Clause BSD-4-Clause-UC OpenSSL Apache-1.0 Apache-1.1 MIT-advertising'),
  },
  {
    category: 'permissive',
    obligations: [...KEEP_NOTICES, 'include-notice-file', 'state-changes', 'no-trademark-use'],
    ids: idsIn('Apache-2.0 ECL-2.0 Pixar'),
  },
  {
    category: 'permissive',
    obligations: [...KEEP_NOTICES, 'credit-author', 'state-changes'],
    ids: idsIn('CC-BY-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0 CC-BY-4.0 ODC-By-1.0'),
  },
  {
    category: 'weak-copyleft',
    obligations: [...KEEP_NOTICES, 'state-changes', 'disclose-changed-files'],
    ids: idsIn(`
      MPL-1.0 MPL-1.1 MPL-2.0 MPL-2.0-no-copyleft-exception EPL-1.0 EPL-2.0 CPL-1.0 IPL-1.0
      CDDL-1.0 CDDL-1.1 APSL-2.0 MS-RL OFL-1.1 CECILL-C
    `),
  },
  {
    category: 'weak-copyleft',
    obligations: [...KEEP_NOTICES, 'state-changes', 'disclose-library'],
    ids: idsIn('LGPL-2.0 LGPL-2.1 LGPL-3.0'),
  },
  {
    category: 'strong-copyleft',
    obligations: [...KEEP_NOTICES, 'state-changes', 'disclose-source', 'same-licence'],
    ids: idsIn('GPL-1.0 GPL-2.0 GPL-3.0 CECILL-2.1 QPL-1.0 Sleepycat GFDL-1.1 GFDL-1.2 GFDL-1.3'),
  },
  {
    category: 'strong-copyleft',
    obligations: [
      ...KEEP_NOTICES,
      'state-changes',
      'disclose-source',
      'same-licence',
      'network-use-is-distribution',
    ],
    ids: idsIn('AGPL-1.0 AGPL-3.0 OSL-3.0 SSPL-1.0 RPL-1.5 CPAL-1.0 EUPL-1.0 EUPL-1.1 EUPL-1.2'),
  },
  {
    category: 'strong-copyleft',
    obligations: [...KEEP_NOTICES, 'credit-author', 'state-changes', 'same-licence'],
    ids: idsIn('CC-BY-SA-2.0 CC-BY-SA-2.5 CC-BY-SA-3.0 CC-BY-SA-4.0 ODbL-1.0'),
  },
  {
    category: 'proprietary',
    obligations: [...KEEP_NOTICES, 'credit-author', 'no-commercial-use'],
    ids: idsIn(`
      CC-BY-NC-2.0 CC-BY-NC-3.0 CC-BY-NC-4.0 CC-BY-NC-SA-3.0 CC-BY-NC-SA-4.0
      PolyForm-Noncommercial-1.0.0
    `),
  },
  {
    category: 'proprietary',
    obligations: [...KEEP_NOTICES, 'credit-author', 'no-derivatives'],
    ids: idsIn('CC-BY-ND-3.0 CC-BY-ND-4.0'),
  },
  {
    category: 'proprietary',
    obligations: [...KEEP_NOTICES, 'credit-author', 'no-commercial-use', 'no-derivatives'],
    ids: idsIn('CC-BY-NC-ND-3.0 CC-BY-NC-ND-4.0'),
  },
  {
    category: 'proprietary',
    obligations: ['ask-permission'],
    ids: idsIn('UNLICENSED BUSL-1.1 Elastic-2.0'),
  },
];

/** Exceptions by which a work may link to the licensed one without coming under its licence. */
export const LINKING_EXCEPTIONS: readonly string[] = idsIn(`
  Classpath-exception-2.0 GCC-exception-2.0 GCC-exception-3.1 GPL-3.0-linking-exception
  Linux-syscall-note OCaml-LGPL-linking-exception openvpn-openssl-exception Font-exception-2.0
  LGPL-3.0-linking-exception Bison-exception-2.2 Autoconf-exception-3.0 WxWindows-exception-3.1
  Universal-FOSS-exception-1.0 FLTK-exception eCos-exception-2.0 Libtool-exception
`);

function idsIn(list: string): string[] {
  return list.trim().split(/\s+/);
}
