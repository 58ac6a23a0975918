import {
  ArrayMaxSize,
  ArrayNotEmpty,
  ArrayUnique,
  IsArray,
  IsInt,
  IsOptional,
  IsString,
  Length,
  Max,
  Min,
} from 'class-validator';

/** What a client may ask for. Where the packages lie is not its business. */
export class StartAuditDto {
  /** Headline of the report. */
  @IsOptional()
  @IsString()
  @Length(1, 200)
  readonly title?: string;

  /** Names of the packages to audit. @defaultValue all that are installed */
  @IsOptional()
  @IsArray()
  @ArrayNotEmpty()
  @ArrayMaxSize(1000)
  @ArrayUnique()
  @IsString({ each: true })
  @Length(1, 214, { each: true })
  readonly only?: string[];

  /** Audit at most this many packages. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(100_000)
  readonly limit?: number;
}
