/** What a line is about, for loggers that keep fields: ids, the task, the attempt. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where the execution writes its lines; the module passes Nest's Logger. */
export interface EngineLog {
  log(message: string, about?: LogFields): void;
  warn(message: string, about?: LogFields): void;
  error(message: string, stack?: string, about?: LogFields): void;
  debug(message: string, about?: LogFields): void;
}
