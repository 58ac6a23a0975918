/** Members that somebody took out of their queues: which they are, also of a header of thousands. */
import { Injectable } from '@nestjs/common';
import { Task } from 'nestjs-task-queue';
import { until, useApps } from '../support/app-fixture.js';

@Injectable()
class Members {
  @Task()
  member(n: number): number {
    return n;
  }
}

const fixture = useApps();

it('names the first ten that a wide header has lost, wherever they stand and whatever the others have come to', async () => {
  const options = { queues: { default: { concurrency: 50 }, shelf: {} } };
  const app = await fixture.boot({ providers: [Members], options });
  const { member } = app.workflows.tasks(Members);
  const shelf = (await app.workflows.queues()).find(({ name }) => name === 'shelf');
  await shelf?.pause();
  // Those of the shelf wait, the others end.
  const isShelved = (n: number): boolean => n % 2 === 1;
  const header = Array.from({ length: 2_400 }, (_, n) =>
    isShelved(n) ? member.s(n).set({ queue: 'shelf' }) : member.s(n),
  );
  const { id } = await app.workflows.chord(header, member.s() as never).applyAsync();
  await until(
    async () => (await app.workflows.result(id).describe()).counts?.succeeded === 1_200,
    'the others have ended',
  );
  const lost = [3, 999, 1_001, 1_003, 2_001, 2_003, 2_005, 2_007, 2_009, 2_011, 2_397, 2_399];
  for (const index of lost) await (await shelf?.getJob(`${id}.${index}`))?.remove();
  const { obstacles } = await app.workflows.explain(id, { limit: 1 });
  const [removed] = obstacles;
  const named = lost.slice(0, 10).map((index) => `${id}.${index}`);
  expect(removed).toMatchObject({ kind: 'removed', members: 12, ids: named });
  expect(removed?.text).toContain(
    `has lost 12 members (${named.join(', ')} and 2 more), revoked or taken out`,
  );
  await app.workflows.result(id).revoke();
}, 120_000);
