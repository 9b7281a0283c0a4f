/**
 * `<detail-picker>…<a href="…?at=7#detail">…<aside id="detail">`: takes over the details of an entry without loading the page
 * anew, so that nothing moves. Without script the link does the same with a load.
 */
customElements.define('detail-picker', class DetailPickerElement extends HTMLElement {
  connectedCallback() {
    this.stop = new AbortController();
    const { signal } = this.stop;
    this.addEventListener('click', (event) => this.pick(event), { signal });
    addEventListener('popstate', () => location.reload(), { signal });
  }
  disconnectedCallback() { this.stop.abort() }
  async pick(event) {
    const link = event.target.closest?.('a[href]');
    if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const href = link.getAttribute('href');
    if (!href.endsWith('#detail')) return;
    const url = new URL(href, location.href);
    if (url.pathname !== location.pathname) return;
    event.preventDefault();
    try {
      const answer = await fetch(url, { headers: { 'accept': 'text/html' }, signal: this.stop.signal });
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const [fresh, shown] = [page.getElementById('detail'), this.querySelector('#detail')];
      if (!fresh || !shown) throw new Error('detail-picker: no #detail');
      shown.replaceChildren(...document.importNode(fresh, true).childNodes);
      shown.scrollTop = 0;
      const at = url.searchParams.get('at');
      for (const each of this.querySelectorAll('a[href$="#detail"]')) {
        const marked = each.closest('tr') ?? each;
        const is = new URL(each.getAttribute('href'), location.href).searchParams.get('at') === at;
        if (is) marked.setAttribute('aria-current', 'true'); else marked.removeAttribute('aria-current');
      }
      url.hash = '';
      history.replaceState(null, '', url);
      if (getComputedStyle(shown).position === 'static') shown.scrollIntoView({ block: 'start' });
    } catch {
      location.href = url;
    }
  }
});
