/** Types of the SPDX packages that ship none of their own. */

declare module 'spdx-expression-parse' {
  namespace parse {
    /** One licence of an expression, such as `Apache-2.0 WITH LLVM-exception`. */
    interface LicenceNode {
      license: string;
      plus?: true;
      exception?: string;
    }
    /** Two sub-expressions joined by AND or OR. */
    interface ConjunctionNode {
      left: ExpressionNode;
      conjunction: 'and' | 'or';
      right: ExpressionNode;
    }
    type ExpressionNode = LicenceNode | ConjunctionNode;
  }
  /** Parses an SPDX expression; throws when it is not one. */
  function parse(expression: string): parse.ExpressionNode;
  export = parse;
}

declare module 'spdx-correct' {
  /** The valid SPDX expression that a near miss most likely means, or null. */
  function correct(identifier: string, options?: { upgrade?: boolean }): string | null;
  export = correct;
}
