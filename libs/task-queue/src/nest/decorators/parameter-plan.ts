import type { PipeTransform, Type } from '@nestjs/common';
import { InvalidTaskError } from '../../errors/configuration.errors.js';
import { Outcomes } from '../../chords/outcomes.js';
import { TaskContext } from '../../task/task-context.js';
import {
  assignMetadata,
  CUSTOM_ROUTE_ARGS_METADATA,
  PARAMTYPES_METADATA,
  ROUTE_ARGS_METADATA,
  RouteParamtypes,
} from './nest-internals.js';
import { type DeclaredParameters, declaredParameters } from './declared-parameters.js';
import { sourceOf } from './source-name.js';

/** What fills a parameter: the next argument, the members of a header page by page, the context, or a decorator made by createParamDecorator. */
export type ParameterRole = 'argument' | 'outcomes' | 'context' | 'custom';

/** How the parameters of a task method are filled. */
export type ParameterPlan =
  | {
      readonly kind: 'declared';
      /** By position. */
      readonly roles: readonly ParameterRole[];
      /** Pipes and decorator factories of the parameters, which only Nest can run. */
      readonly enhanced: boolean;
      /** The name of the last parameter, if it looks as if it were meant for the context, but cannot be seen to be. */
      readonly likelyContext?: string;
    }
  /** A rest parameter at the end: arguments pass as they are, without pipes. */
  | { readonly kind: 'rest'; readonly roles: readonly ParameterRole[] }
  /** The build emits no types and no parameter is decorated: refused at boot. */
  | { readonly kind: 'unknown' };

/** A pipe, or its class. */
export type PipeRef = Type<PipeTransform> | PipeTransform;

/**
 * How parameters are stored for Nest. BODY, because a ValidationPipe validates only what it takes for user
 * input; the context's number is that of `@Ctx()` in @nestjs/microservices, so either decorator works.
 */
export const TASK_PARAM = {
  ARGUMENT: RouteParamtypes.BODY as number,
  CONTEXT: 6,
  OUTCOMES: RouteParamtypes.RAW_BODY as number,
} as const;

interface ParameterEntry {
  readonly index: number;
  readonly data?: unknown;
  readonly pipes?: readonly PipeRef[];
  /** A Standard Schema, for pipes that validate by one. */
  readonly schema?: unknown;
}
type ParameterEntries = Readonly<Record<string, ParameterEntry>>;

/**
 * Works out how a method's parameters are filled, and stores it where Nest looks for pipes and their types.
 * Parameter decorators have run by then, and the compiler's types are there, because both stand below the
 * method's own decorators.
 *
 * @throws InvalidTaskError when a parameter is decorated in a way that a task cannot serve
 */
export function planParameters(
  prototype: object,
  method: string,
  handler: (...args: never[]) => unknown,
): ParameterPlan {
  const explicit = explicitEntries(prototype, method);
  const types = Reflect.getOwnMetadata(PARAMTYPES_METADATA, prototype, method) as unknown[] | undefined;
  const source = declaredParameters(handler);
  const count = types?.length ?? countWithoutTypes(handler, source, explicit);
  const roles = Array.from({ length: count }, (_, index): ParameterRole => {
    const key = explicit.find(([, entry]) => entry.index === index)?.[0];
    if (key !== undefined) return roleOf(key, index, prototype, method);
    if (types?.[index] === Outcomes) return 'outcomes';
    return types?.[index] === TaskContext ? 'context' : 'argument';
  });
  if (roles.lastIndexOf('outcomes') > 0) {
    throw new InvalidTaskError(
      `${sourceOf(prototype, method)}: parameter ${roles.lastIndexOf('outcomes') + 1} is of type Outcomes, which only the ` +
        `first one can be: what a header came to stands in front of the other arguments.`,
    );
  }
  // A wrapper declares `...args` on behalf of any method; only the compiler's types tell about the original.
  if (source?.rest && source.original) return planRest(prototype, method, roles, explicit);
  if (types === undefined && explicit.length === 0 && count > 0) return { kind: 'unknown' };
  const enhanced = storeForNest(prototype, method, roles, explicit);
  const likelyContext = likelyContextOf(roles, types, explicit, source);
  return { kind: 'declared', roles, enhanced, ...(likelyContext === undefined ? {} : { likelyContext }) };
}

/** Puts arguments and context where the method expects them. */
export function placeArguments(
  plan: { readonly kind: string; readonly roles: readonly ParameterRole[] },
  args: readonly unknown[],
  context: TaskContext,
): unknown[] {
  let next = 0;
  const placed = plan.roles.map((role) => {
    if (role === 'context') return context;
    return role === 'outcomes' ? Outcomes.of(args[next++]) : args[next++];
  });
  if (plan.kind === 'declared') return placed;
  // The rest parameter itself is the last role: it takes whatever is left, which may be nothing.
  return next > args.length ? placed.slice(0, placed.length - 1) : [...placed, ...args.slice(next)];
}

/** The position among the arguments that a stored parameter, `args[2]`, stands for. */
export function argumentPosition(data: unknown): number {
  return Number.parseInt(String(data).slice('args['.length), 10);
}

/**
 * After `import type { TaskContext }` the compiler says no more of a parameter than Object, as of any interface. Only its
 * name tells then.
 */
function likelyContextOf(
  roles: readonly ParameterRole[],
  types: readonly unknown[] | undefined,
  explicit: readonly (readonly [string, ParameterEntry])[],
  source: DeclaredParameters | undefined,
): string | undefined {
  const last = roles.length - 1;
  const isUnseen = types?.[last] === Object && !explicit.some(([, { index }]) => index === last);
  const name = source?.count === roles.length ? source.lastName : undefined;
  const isNamedSo = /^_?(task|ctx|context|taskContext)$/.test(name ?? '');
  return isUnseen && isNamedSo && !roles.includes('context') ? name : undefined;
}

function planRest(
  prototype: object,
  method: string,
  roles: readonly ParameterRole[],
  explicit: readonly (readonly [string, ParameterEntry])[],
): ParameterPlan {
  const piped = explicit.some(([, { pipes, schema }]) => (pipes?.length ?? 0) > 0 || schema !== undefined);
  if (piped || roles.includes('custom')) {
    throw new InvalidTaskError(
      `${sourceOf(prototype, method)}: pipes and parameter decorators other than @Ctx() do not run on a method ` +
        `with a rest parameter. Take a list instead.`,
    );
  }
  Reflect.defineMetadata(ROUTE_ARGS_METADATA, {}, prototype.constructor, method);
  return { kind: 'rest', roles: [...roles.slice(0, -1), 'argument'] };
}

function countWithoutTypes(
  handler: (...args: never[]) => unknown,
  source: DeclaredParameters | undefined,
  explicit: readonly (readonly [string, ParameterEntry])[],
): number {
  const decorated = Math.max(0, ...explicit.map(([, entry]) => entry.index + 1));
  if (source === undefined) return Math.max(handler.length, decorated);
  // The `...args` of a wrapper is no parameter of the method; with none decorated it stands for unknown ones.
  const stray = source.rest && !source.original && decorated > 0 ? 1 : 0;
  return Math.max(source.count - stray, decorated);
}

/** @returns whether a parameter has something that only Nest can run */
function storeForNest(
  prototype: object,
  method: string,
  roles: readonly ParameterRole[],
  explicit: readonly (readonly [string, ParameterEntry])[],
): boolean {
  let entries: Record<string, unknown> = {};
  let enhanced = false;
  let position = 0;
  for (const [index, role] of roles.entries()) {
    const found = explicit.find(([, entry]) => entry.index === index);
    if (role === 'custom' && found) {
      entries = { ...entries, [found[0]]: found[1] };
      enhanced = true;
      continue;
    }
    const pipes = [...(found?.[1].pipes ?? [])];
    enhanced ||= pipes.length > 0;
    // Pipes would take an Outcomes for a value to be transformed.
    if (role === 'outcomes') position++;
    const data = role === 'argument' ? `args[${position++}]` : undefined;
    const type = TASK_PARAM[role === 'argument' ? 'ARGUMENT' : role === 'outcomes' ? 'OUTCOMES' : 'CONTEXT'];
    const { schema } = found?.[1] ?? {};
    entries = assignMetadata(entries as never, type as never, index, { data, pipes, schema } as never);
  }
  Reflect.defineMetadata(ROUTE_ARGS_METADATA, entries, prototype.constructor, method);
  return enhanced;
}

/** Decorators on the parameters of this very method, without those of one that it overrides. */
function explicitEntries(prototype: object, method: string): (readonly [string, ParameterEntry])[] {
  const read = (type: object): ParameterEntries =>
    (Reflect.getMetadata(ROUTE_ARGS_METADATA, type, method) ?? {}) as ParameterEntries;
  const parent = Object.getPrototypeOf(prototype.constructor) as object;
  const inherited = read(parent);
  return Object.entries(read(prototype.constructor)).filter(([key, entry]) => inherited[key] !== entry);
}

function roleOf(key: string, index: number, prototype: object, method: string): ParameterRole {
  if (key.includes(CUSTOM_ROUTE_ARGS_METADATA)) return 'custom';
  const type = Number(key.split(':')[0]);
  if (type === TASK_PARAM.CONTEXT) return 'context';
  if (type === TASK_PARAM.OUTCOMES) return 'outcomes';
  if (type === TASK_PARAM.ARGUMENT) return 'argument';
  throw new InvalidTaskError(
    `${sourceOf(prototype, method)}: parameter ${index + 1} has a decorator that reads an HTTP request. ` +
      `A task has none: use @Arg(), @Ctx() or a decorator made by createParamDecorator.`,
  );
}
