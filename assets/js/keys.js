/**
 * Keys: `/` search, `?` help, `g` and a letter for a page, `j` and `k` along rows. Off while one types.
 */
{
  const prefix = document.body.dataset.prefix ?? '';
  const pages = { o: '/', f: '/flows', l: '/live', t: '/topics', r: '/retries', d: '/dead-letters', s: '/status', a: '/alerts', h: '/help' };
  let waiting = 0;

  const typing = (target) => target instanceof HTMLElement
    && (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName));

  /** The row links of the page: the first link of every row of its tables. */
  const rows = () => [...document.querySelectorAll('main tbody tr')].map((row) => row.querySelector('a[href]')).filter(Boolean);

  const along = (step) => {
    const links = rows();
    const at = links.indexOf(document.activeElement);
    links[Math.max(0, Math.min(links.length - 1, at < 0 ? 0 : at + step))]?.focus();
  };

  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Escape' && typing(event.target)) return event.target.blur();
    if (typing(event.target)) return;
    if (performance.now() < waiting && pages[event.key]) {
      event.preventDefault();
      location.href = prefix + pages[event.key];
      return;
    }
    waiting = 0;
    if (event.key === 'g') waiting = performance.now() + 1500;
    else if (event.key === '/') {
      const box = document.querySelector('.search input');
      if (!box) return;
      event.preventDefault();
      box.focus();
      box.select();
    } else if (event.key === '?') location.href = `${prefix}/help#keys`;
    else if (event.key === 'j') along(1);
    else if (event.key === 'k') along(-1);
  });
}
