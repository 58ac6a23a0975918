import type { AuditView, StartedAudit } from '../audits/audit-view.js';
import type { StartAuditDto } from '../audits/start-audit.dto.js';

/** Uses the API as any client would. */
export class AuditClient {
  constructor(
    private readonly url: string,
    private readonly signal: AbortSignal,
  ) {}

  start(request: StartAuditDto): Promise<StartedAudit> {
    return this.#json<StartedAudit>('/audits', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
  }

  show({ links }: StartedAudit): Promise<AuditView> {
    return this.#json<AuditView>(links.self);
  }

  /** The document. */
  async report({ links }: StartedAudit): Promise<string> {
    return (await this.#ask(links.report)).text();
  }

  async #json<T>(path: string, init: RequestInit = {}): Promise<T> {
    return (await (await this.#ask(path, init)).json()) as T;
  }

  async #ask(path: string, init: RequestInit = {}): Promise<Response> {
    const response = await fetch(new URL(path, this.url), { ...init, signal: this.signal });
    if (response.ok) return response;
    throw new Error(
      `${init.method ?? 'GET'} ${path} was answered with ${response.status}: ${await response.text()}`,
    );
  }
}
