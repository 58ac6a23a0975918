import type { WorkflowService } from 'nestjs-task-queue';
/** Compile-time assertions: `expectType<Expect<Equal<A, B>>>()` compiles when the two types are the same. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
export type Expect<T extends true> = T;

/** Says something about types; does nothing. */
export declare function assertType<_T extends true>(): void;

/** The service as applications inject it; nothing runs here. */
export declare const workflows: WorkflowService;
export declare const tasks: WorkflowService['tasks'];
export declare const chain: WorkflowService['chain'];
export declare const group: WorkflowService['group'];
export declare const chord: WorkflowService['chord'];
