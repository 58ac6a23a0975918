import type { Outcome, TaskContext, TaskFailure } from 'nestjs-task-queue';
export interface Contract {
  id: string;
}
export interface Summary {
  id: string;
  total: number;
}
export interface Report {
  lines: number;
}

export declare class ContractTasks {
  readonly title: string;
  processContract(contract: Contract, task: TaskContext): Promise<Summary>;
  buildReport(summaries: Summary[]): Promise<Report>;
  buildFromOutcomes(outcomes: Outcome<Summary>[]): Report;
  archive(report: Report, folder: string): Promise<string>;
  notify(address: string): void;
  /** No parameters beside the context. */
  cleanUp(task?: TaskContext): Promise<number>;
  onFailure(failure: TaskFailure, channel: string): Promise<void>;
  ping(): string;
  private hidden(secret: string): void;
}

export declare class MathTasks {
  add(a: number, b: number): number;
  double(value: number): Promise<number>;
  text(value: number): string;
  length(value: string): number;
  sum(values: number[]): number;
  /** One optional parameter of the same type. */
  increase(value: number, by?: number): number;
  /** One optional parameter of another type. */
  format(value: number, unit?: string): string;
  optional(value?: number): number;
  flexible(value: number, unit?: string, task?: TaskContext): string;
  all(...values: number[]): number;
  labelled(label: string, ...values: number[]): string;
  three(a: string, b: number, c: boolean): Date;
  // oxlint-disable-next-line typescript/no-explicit-any -- a parameter of type any is no context
  loose(value: any): number;
}
