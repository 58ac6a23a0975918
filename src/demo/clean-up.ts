/** Ends what was started, the last one first, whatever happens in between. */
export class CleanUp {
  readonly #steps: { readonly what: string; readonly run: () => Promise<unknown> | void }[] = [];

  /** To be called as soon as something is started. */
  defer(what: string, run: () => Promise<unknown> | void): void {
    this.#steps.push({ what, run });
  }

  /** @returns what could not be ended, in words */
  async run(): Promise<string[]> {
    const problems: string[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.run();
      } catch (error) {
        problems.push(`${step.what} could not be ended: ${String(error)}`);
      }
    }
    return problems;
  }
}
