/**
 * The short notices that some packages carry in place of the full text ("Licensed under the Apache License,
 * Version 2.0 …"). They name their licence beyond doubt, yet share almost no wording with its full text.
 */

/** The standard notice of one licence. */
export interface LicenceNotice {
  readonly id: string;
  readonly text: string;
}

/** Where the terms of a licence end and advice on how to apply it begins; copies often leave the rest out. */
export const TERMS_END = /END OF TERMS AND CONDITIONS/i;

const GNU_WARRANTY = `is distributed in the hope that it will be useful, but WITHOUT ANY WARRANTY; without
  even the implied warranty of MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE. See the`;

/** Every notice that is recognised, as the publishers of the licences word them. */
export const LICENCE_NOTICES: readonly LicenceNotice[] = [
  {
    id: 'Apache-2.0',
    text: `Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in
      compliance with the License. You may obtain a copy of the License at
      http://www.apache.org/licenses/LICENSE-2.0
      Unless required by applicable law or agreed to in writing, software distributed under the License is
      distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
      See the License for the specific language governing permissions and limitations under the License.`,
  },
  {
    id: 'MPL-2.0',
    text: `This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0. If a copy of the
      MPL was not distributed with this file, You can obtain one at http://mozilla.org/MPL/2.0/.`,
  },
  ...gnuNotices('GPL', 'GNU General Public License', ['2', '3']),
  ...gnuNotices('LGPL', 'GNU Lesser General Public License', ['2.1', '3']),
  ...gnuNotices('AGPL', 'GNU Affero General Public License', ['3']),
];

function gnuNotices(prefix: string, name: string, versions: readonly string[]): LicenceNotice[] {
  return versions.map((version) => ({
    id: `${prefix}-${version.includes('.') ? version : `${version}.0`}-or-later`,
    text: `This program is free software: you can redistribute it and/or modify it under the terms of the ${name}
      as published by the Free Software Foundation, either version ${version} of the License, or (at your option)
      any later version. This program ${GNU_WARRANTY} ${name} for more details.`,
  }));
}
