/**
 * `<relative-time datetime="…">absolute time</relative-time>`: says "3 min ago" and keeps the absolute time in its title.
 * Without script the absolute time stands there. One timer for all of them.
 */
{
  const all = new Set();
  const steps = [[60, 1, 's'], [3600, 60, 'min'], [86400, 3600, 'h'], [Infinity, 86400, 'd']];

  /** @param {number} seconds */
  const inWords = (seconds) => {
    if (Math.abs(seconds) < 1) return 'now';
    const [, unit, name] = steps.find(([below]) => Math.abs(seconds) < below);
    const many = Math.floor(Math.abs(seconds) / unit);
    return seconds < 0 ? `in ${many} ${name}` : `${many} ${name} ago`;
  };

  customElements.define('relative-time', class RelativeTimeElement extends HTMLElement {
    connectedCallback() {
      this.at = Date.parse(this.getAttribute('datetime') ?? '');
      if (Number.isNaN(this.at)) throw new Error('relative-time: no datetime');
      if (!this.title) this.title = this.textContent.trim();
      all.add(this);
      this.say();
    }
    disconnectedCallback() { all.delete(this) }
    say() {
      const words = inWords((Date.now() - this.at) / 1000);
      if (this.textContent !== words) this.textContent = words;
    }
  });

  setInterval(() => { if (!document.hidden) for (const time of all) time.say(); }, 1000);
}
