import { Injectable, NotFoundException, type PipeTransform } from '@nestjs/common';
import { isUUID } from 'class-validator';

/** Lets only ids through that an audit can have: whatever else stands in the URL names nothing. */
@Injectable()
export class AuditIdPipe implements PipeTransform<string, string> {
  transform(value: string): string {
    if (isUUID(value)) return value.toLowerCase();
    throw new NotFoundException('No audit has this id.');
  }
}
