/** Tests in the forms in which specs write them; read, and never run. */
describe('a block', () => {
  it('plain', () => undefined);
  it.each([
    ['cat', 1],
    ['dog', 2],
  ])('a %s', () => undefined);
  it.skip('left out', () => undefined);
});
describe.skip('a block that is left out', () => {
  it('inside', () => undefined);
});
it.todo('written down for later');
