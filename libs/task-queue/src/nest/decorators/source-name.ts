/** `ClassName.methodName`, for messages. Takes what a decorator gets: a prototype, or a class for statics. */
export function sourceOf(target: object, method: string | symbol): string {
  const type = typeof target === 'function' ? target : target.constructor;
  return `${type.name}.${String(method)}`;
}
