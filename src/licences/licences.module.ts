import { Module } from '@nestjs/common';
import { LicenceAuditor } from './licence-auditor.js';
import { LicenceIdentifier } from './licence-identifier.js';
import { LicenceReader } from './licence-reader.js';
import { PackageInventory } from './package-inventory.js';

/** The domain of the licence audit: lists packages, reads and recognises licences, judges them. */
@Module({
  providers: [PackageInventory, LicenceReader, LicenceIdentifier, LicenceAuditor],
  exports: [PackageInventory, LicenceAuditor],
})
export class LicencesModule {}
