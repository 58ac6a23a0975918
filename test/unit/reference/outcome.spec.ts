import type { Json } from '../../support/reference/canvas-model.js';
import { causeOf, projectSettled, sortObservations } from '../../support/reference/outcome.js';

describe('projectSettled', () => {
  const statusOnly = (record: Record<string, Json>): Json => ({ status: record['status'] ?? null });

  it('projects settled records at any depth and leaves the rest', () => {
    const value: Json = [
      { status: 'fulfilled', value: 1, index: 0 },
      { key: [{ status: 'rejected', reason: { message: 'x' }, at: 17 }], status: 'other' },
      null,
      'text',
    ];
    expect(projectSettled(value, statusOnly)).toEqual([
      { status: 'fulfilled' },
      { key: [{ status: 'rejected' }], status: 'other' },
      null,
      'text',
    ]);
  });

  it('projects a record inside a record first', () => {
    const seen: Json[] = [];
    projectSettled({ status: 'fulfilled', value: [{ status: 'rejected' }] }, (record) => {
      seen.push(record['status'] ?? null);
      return record;
    });
    expect(seen).toEqual(['rejected', 'fulfilled']);
  });
});

describe('sortObservations', () => {
  it('gives the same list whatever the order of arrival', () => {
    const a = { label: 'A', kind: 'link', payload: 1 } as const;
    const again = { label: 'A', kind: 'link', payload: 2 } as const;
    const b = { label: 'B', kind: 'errback', payload: null } as const;
    expect(sortObservations([b, again, a])).toEqual([a, again, b]);
    expect(sortObservations([a, b, again])).toEqual([a, again, b]);
  });
});

describe('causeOf', () => {
  it('refuses an aggregate that no member failed', () => {
    expect(() => causeOf({ kind: 'group', failures: [], values: [] })).toThrow(TypeError);
  });
});
