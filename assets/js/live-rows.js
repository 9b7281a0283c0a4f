/**
 * `<live-rows src="…" max="100">…<tbody>…`: puts new rows on top as the server sends them. While the pointer or the focus is
 * inside, or somebody paused it, they wait behind a button "12 new, show". Without script the list stands still, and Refresh loads it again.
 */
customElements.define('live-rows', class LiveRowsElement extends HTMLElement {
  connectedCallback() {
    this.body = this.querySelector('tbody');
    this.state = this.querySelector('.live-state');
    if (!this.body || !this.state) throw new Error('live-rows: no tbody or .live-state');
    this.most = Number(this.getAttribute('max') ?? 100);
    this.waiting = [];
    this.stop = new AbortController();
    const { signal } = this.stop;
    this.button = Object.assign(document.createElement('button'), { type: 'button', className: 'button', hidden: true });
    this.button.addEventListener('click', () => this.show(), { signal });
    this.pause = Object.assign(document.createElement('button'), { type: 'button', className: 'button', textContent: 'Pause' });
    this.pause.setAttribute('aria-pressed', 'false');
    this.pause.addEventListener('click', () => this.turn(), { signal });
    this.state.after(this.button, this.pause);
    this.state.setAttribute('aria-live', 'polite');
    this.addEventListener('pointerenter', () => { this.held = true }, { signal });
    this.addEventListener('pointerleave', () => { this.held = false; if (!this.isPaused) this.show() }, { signal });
    document.addEventListener('visibilitychange', () => (document.hidden ? this.close() : this.open()), { signal });
    this.open();
  }
  disconnectedCallback() {
    this.close();
    this.stop.abort();
  }
  open() {
    if (this.source || document.hidden) return;
    const url = new URL(this.getAttribute('src'), location.href);
    if (this.reached) url.searchParams.set('after', this.reached);
    this.source = new EventSource(url);
    this.source.onopen = () => { this.removeAttribute('data-lost'); this.say() };
    this.source.onerror = () => this.setAttribute('data-lost', '');
    this.source.onmessage = (event) => this.take(event);
  }
  close() {
    this.source?.close();
    this.source = undefined;
  }
  take(event) {
    this.reached = event.lastEventId;
    const made = document.createElement('template');
    made.innerHTML = event.data;
    this.waiting.unshift(...made.content.querySelectorAll('tr'));
    this.waiting.length = Math.min(this.waiting.length, this.most);
    if (this.isPaused || this.held || this.contains(document.activeElement)) this.say();
    else this.show();
  }
  show() {
    const rows = this.waiting.splice(0);
    for (const old of this.body.querySelectorAll('.is-new')) old.classList.remove('is-new');
    for (const row of rows) row.classList.add('is-new');
    this.body.prepend(...rows);
    while (this.body.rows.length > this.most) this.body.lastElementChild.remove();
    this.querySelector('.empty')?.remove();
    this.say();
  }
  turn() {
    this.isPaused = !this.isPaused;
    this.pause.setAttribute('aria-pressed', String(this.isPaused));
    this.pause.textContent = this.isPaused ? 'Go on' : 'Pause';
    if (!this.isPaused) this.show();
    this.say();
  }
  say() {
    const many = this.waiting.length;
    this.button.hidden = many === 0;
    this.button.textContent = `${many} new, show`;
    this.state.toggleAttribute('data-live', !this.isPaused);
    this.state.textContent = this.isPaused ? 'paused' : 'live';
  }
});
