import { escapeHtml, html } from './html.js';

describe('html', () => {
  it('escapes what is put into elements and attributes', () => {
    const hostile = `"><script>alert('x')</script>&\``;
    expect(html`<p title="${hostile}">${hostile}</p>`.toString()).toBe(
      '<p title="&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&#96;">' +
        '&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&#96;</p>',
    );
  });

  it('joins lists, keeps its own results and drops what is not there', () => {
    const items = ['a', '<i>'].map((item) => html`<b>${item}</b>`);
    expect(html`<p>${items}${undefined}${null}${false}${0}</p>`.toString()).toBe(
      '<p><b>a</b><b>&lt;i&gt;</b>0</p>',
    );
  });

  it('replaces control characters and marks that turn the direction of writing', () => {
    expect(escapeHtml('a\u0000b\u202Ec\u2066d\te\n')).toBe('a\uFFFDb\uFFFDc\uFFFDd\te\n');
  });
});
