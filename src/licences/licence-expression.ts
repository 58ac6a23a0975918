/** Small helpers over SPDX licence expressions such as `(MIT OR Apache-2.0) AND BSD-3-Clause`. */
import parse, { type ExpressionNode, type LicenceNode } from 'spdx-expression-parse';

export type { ExpressionNode, LicenceNode };

/** The tree of an expression, or undefined when it is not one. */
export function parseExpression(expression: string): ExpressionNode | undefined {
  try {
    return parse(expression);
  } catch {
    return undefined;
  }
}

/** Folds an expression from its licences upwards. */
export function foldExpression<T>(
  node: ExpressionNode,
  leaf: (licence: LicenceNode) => T,
  join: (conjunction: 'and' | 'or', left: T, right: T) => T,
): T {
  if ('license' in node) return leaf(node);
  return join(
    node.conjunction,
    foldExpression(node.left, leaf, join),
    foldExpression(node.right, leaf, join),
  );
}

/** The licences that an expression names, without their exceptions. */
export function licencesIn(node: ExpressionNode): string[] {
  return foldExpression(
    node,
    ({ license }) => [license],
    (_, left, right) => [...left, ...right],
  );
}

/** Whether an expression holds when exactly the licences that satisfy the predicate are there. */
export function isSatisfied(node: ExpressionNode, isThere: (id: string) => boolean): boolean {
  return foldExpression(
    node,
    ({ license }) => isThere(license),
    (conjunction, left, right) => (conjunction === 'and' ? left && right : left || right),
  );
}
