/**
 * `<live-region id="…" every="2">…</live-region>`: fetches this page again and takes over its own part of it, at most once a
 * second. Rests while the page is hidden, while the pointer or the focus is inside, and while text in it is selected: rows
 * don't move under the hand. Without script the page is simply as it was loaded.
 */
customElements.define('live-region', class LiveRegionElement extends HTMLElement {
  connectedCallback() {
    if (!this.id) throw new Error('live-region: no id');
    this.stop = new AbortController();
    const { signal } = this.stop;
    const seconds = Math.max(1, Number(this.getAttribute('every') ?? 2));
    this.timer = setInterval(() => this.refresh(), seconds * 1000);
    this.addEventListener('pointerenter', () => { this.held = true }, { signal });
    this.addEventListener('pointerleave', () => { this.held = false }, { signal });
    document.addEventListener('visibilitychange', () => this.refresh(), { signal });
  }
  disconnectedCallback() {
    clearInterval(this.timer);
    this.stop.abort();
  }
  rests() {
    const selected = getSelection();
    return document.hidden || this.held || this.contains(document.activeElement)
      || (selected && !selected.isCollapsed && this.contains(selected.anchorNode));
  }
  /** The browser's title and icon, and the count beside the link to the alerts, tell what fires whichever page is open. */
  announce(page) {
    if (document.title !== page.title) document.title = page.title;
    for (const its of ['link[rel=icon]', 'nav a[href$="/alerts"]']) {
      const [old, fresh] = [document.querySelector(its), page.querySelector(its)];
      if (old && fresh && old.outerHTML !== fresh.outerHTML) old.replaceWith(document.importNode(fresh, true));
    }
  }
  async refresh() {
    if (this.busy || this.rests()) return;
    this.busy = true;
    try {
      const answer = await fetch(location.href, { headers: { 'accept': 'text/html' }, signal: this.stop.signal });
      if (answer.ok && !answer.redirected) {
        const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
        const fresh = page.getElementById(this.id);
        if (!fresh) location.reload();
        else if (!this.rests() && fresh.innerHTML !== this.was) {
          this.was = fresh.innerHTML;
          this.replaceChildren(...document.importNode(fresh, true).childNodes);
        }
        this.announce(page);
        this.removeAttribute('data-lost');
      } else this.setAttribute('data-lost', '');
    } catch {
      this.setAttribute('data-lost', '');
    } finally {
      this.busy = false;
    }
  }
});
