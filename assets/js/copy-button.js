/**
 * `<copy-button value="…" label="Copy">`: puts its value on the clipboard. `value="here"` stands for this page's address.
 * Without script there is nothing to click, so it makes its button itself.
 */
customElements.define('copy-button', class CopyButtonElement extends HTMLElement {
  connectedCallback() {
    if (this.firstElementChild || !navigator.clipboard) return;
    const button = document.createElement('button');
    const label = this.getAttribute('label') ?? 'Copy';
    button.type = 'button';
    button.className = this.hasAttribute('big') ? 'button' : 'copy';
    button.textContent = label;
    if (this.hasAttribute('what')) button.setAttribute('aria-label', `${label} ${this.getAttribute('what')}`);
    button.addEventListener('click', async () => {
      const value = this.getAttribute('value');
      try {
        await navigator.clipboard.writeText(value === 'here' ? location.href : value);
        button.textContent = 'Copied';
      } catch {
        button.textContent = 'Not allowed';
      }
      setTimeout(() => { button.textContent = label }, 1500);
    });
    this.append(button);
  }
});
