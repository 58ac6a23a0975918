/** Where the execution writes its lines; the module passes Nest's Logger. */
export interface EngineLog {
  log(message: string): void;
  warn(message: string): void;
  error(message: string, stack?: string): void;
  debug(message: string): void;
}
