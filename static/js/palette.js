/* Commands: the palette (Ctrl or ⌘ K), the list of shortcuts (?), single keys; and what makes it an app.
 *
 * Contents
 *   1  helpers
 *   2  commands     elements of the page with data-command, and what it means to run one
 *   3  palette      a combobox over commands and conversations; its search is a link of htmx
 *   4  dialogs      opening, closing, giving the focus back
 *   5  keys         none without a modifier while somebody types; single ones can be switched off
 *   6  app          service worker, offline page, the keyboard of a phone
 *
 * Markup: templates/conversations/_palette.html. It writes text and attributes only, never HTML.
 */
(() => {
  'use strict';

  /* 1 helpers */

  const root = document.documentElement;
  const find = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const palette = find('#palette');
  const apple = /Mac|iPhone|iPad/.test(navigator.platform);

  const setting = {
    get() { try { return localStorage.getItem('single-keys') !== 'off'; } catch { return true; } },
    set(yes) { try { localStorage.setItem('single-keys', yes ? 'on' : 'off'); } catch { /* not allowed here */ } },
  };

  /* 2 commands */

  const usable = (element) => !element.disabled && !element.closest('[hidden]')
    && (!element.dataset.commandWhen || find(element.dataset.commandWhen));
  const rank = (element) => Number(element.dataset.commandRank ?? 5);

  /** Pairs of name and element, in order; of several elements with one name the last of the page counts. */
  function commands() {
    const found = new Map(all('[data-command]').filter(usable).map((element) => [element.dataset.command, element]));
    return [...found].sort(([, one], [, other]) => rank(one) - rank(other));
  }

  /** Do what a click on the element would do; a field is shown and gets the focus, a fold is opened. */
  function run(element) {
    const field = element.matches('input, textarea, select');
    const fold = element.matches('summary');
    if (field || fold) element.closest('[popover]:not(:popover-open)')?.showPopover();
    if (fold) element.parentElement.open = true;
    if (fold) (find('button', element.parentElement) ?? element).focus();
    else if (field) element.focus();
    else element.click();
    if (field) element.select?.();
  }

  /* 3 palette */

  const input = find('#palette-text');
  const list = find('#palette-list');
  const found = find('#palette-found');
  const search = find('#palette-find');
  const status = find('#palette-status');
  const plural = new Intl.PluralRules(root.lang || undefined);
  const plain = (text) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
  const options = () => all('[role=option]', list);
  const targets = new WeakMap();
  let active = null;
  let waiting = 0; // for the next key, before the search is asked
  let searching = false; // what was asked for last has not come yet
  let entered = null; // the Enter that waits for it

  function option(label, key, target, id) {
    const made = find('template', palette).content.firstElementChild.cloneNode(true);
    find('.label', made).textContent = label;
    if (key) find('.keys', made).textContent = key;
    else find('.keys', made).remove();
    made.id = id;
    targets.set(made, target);
    return made;
  }

  function showCommands() {
    const asked = plain(input.value).split(/\s+/).filter(Boolean);
    const matching = commands().filter(([name]) => asked.every((word) => plain(name).includes(word)));
    for (const old of all('#palette-commands [role=option]')) old.remove();
    find('#palette-commands').append(...matching.map(([name, element], index) =>
      option(name, element.dataset.shortcut?.toUpperCase(), element, `palette-command-${index}`)));
    activate(options()[0]);
  }

  function activate(next) {
    active?.setAttribute('aria-selected', 'false');
    active = next ?? null;
    active?.setAttribute('aria-selected', 'true');
    active?.scrollIntoView({ block: 'nearest' });
    if (active) input.setAttribute('aria-activedescendant', active.id);
    else input.removeAttribute('aria-activedescendant');
    for (const group of all('[role=group]', list)) group.hidden = !find('[role=option]', group);
  }

  const keepActive = () => activate(active?.isConnected ? active : options()[0]);

  function showCount() {
    const count = options().length;
    const words = status.dataset;
    status.textContent = count ? (words[plural.select(count)] ?? words.other).replace('{count}', count) : words.none;
  }

  /** Ask for conversations a moment after the last key; pages without htmx offer a page that lists them. */
  function searchSoon(delay) {
    clearTimeout(waiting);
    entered = null;
    if (window.htmx) {
      searching = true;
      waiting = setTimeout(() => {
        waiting = 0;
        search.dispatchEvent(new Event('find'));
      }, delay);
      return;
    }
    const page = `${search.pathname}?q=${encodeURIComponent(input.value)}`;
    found.replaceChildren(option(search.textContent, '', page, 'palette-page'));
    keepActive();
    showCount();
  }

  /** The search has answered or failed; while there is something newer to ask for, that does not count. */
  function answered() {
    keepActive();
    if (waiting) return;
    searching = false;
    if (entered && active) choose(active, entered);
    entered = null;
  }

  function choose(chosen, event) {
    const target = targets.get(chosen);
    if (chosen.matches('a')) {
      if (event.type !== 'click') chosen.click(); // a link that is clicked goes its own way, also to a new tab
    } else if (typeof target === 'string') {
      location.assign(target);
    } else {
      palette.close();
      run(target);
    }
  }

  if (palette) {
    input.addEventListener('input', () => {
      found.replaceChildren(); // what other words found is not what Enter means
      showCommands();
      searchSoon(150);
    });
    input.addEventListener('keydown', (event) => {
      if (event.isComposing || event.keyCode === 229) return;
      const shown = options();
      const at = shown.indexOf(active);
      if (event.key === 'ArrowDown') activate(shown[(at + 1) % shown.length]);
      else if (event.key === 'ArrowUp') activate(shown.at(at < 1 ? -1 : at - 1));
      else if (event.key === 'Enter' && active) choose(active, event);
      else if (event.key === 'Enter' && searching) entered = event;
      else if (event.key !== 'Enter') return;
      event.preventDefault();
    });
    list.addEventListener('pointermove', ({ target }) => {
      const under = target.closest('[role=option]');
      if (under && under !== active) activate(under);
    });
    list.addEventListener('click', (event) => {
      const chosen = event.target.closest('[role=option]');
      if (chosen) choose(chosen, event);
    });
    document.addEventListener('htmx:after:swap', ({ detail: { ctx } }) => {
      if (!palette.open || ctx?.sourceElement !== search) return;
      answered();
      showCount();
    });
    const failed = ({ detail: { ctx } }) => {
      if (!palette.open || ctx?.sourceElement !== search || ctx.response?.status < 400) return;
      found.replaceChildren();
      answered();
      status.textContent = status.dataset.failed;
    };
    document.addEventListener('htmx:error', failed);
    document.addEventListener('htmx:after:request', failed);
  }

  /* 4 dialogs */

  /** Open a dialog over everything; when it closes, the focus goes back, or to what opens the menu it was in. */
  function show(dialog, opener) {
    for (const other of all('dialog[open]')) other.close();
    const menus = opener ? all(':popover-open').filter((menu) => menu.contains(opener)) : [];
    if (dialog === palette) {
      input.value = '';
      found.replaceChildren();
      showCommands();
    }
    for (const menu of menus) menu.hidePopover();
    dialog.showModal();
    if (dialog === palette) searchSoon(0);
    dialog.addEventListener('close', () => {
      if (!menus.length || document.activeElement?.checkVisibility?.() && document.activeElement !== document.body) return;
      const buttons = menus.flatMap((menu) => all(`[popovertarget=${menu.id}]`));
      buttons.find((button) => button.checkVisibility())?.focus();
    }, { once: true });
  }

  let pressedOn = null; // what is selected may end outside of the dialog in which it began

  document.addEventListener('pointerdown', ({ target }) => { pressedOn = target; });
  document.addEventListener('click', (event) => {
    const { target } = event;
    const link = target.closest('a[data-dialog]');
    const dialog = link && find(`#${link.dataset.dialog}`);
    if (dialog && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      show(dialog, link);
    } else if (target.closest('[data-close]') || (target === pressedOn && target.matches('dialog.palette'))) { // its backdrop
      target.closest('dialog').close();
    }
  });

  /* 5 keys */

  const TYPING = 'textarea, select, input:not([type=checkbox], [type=radio], [type=button], [type=submit]), [contenteditable]';

  /** The Latin letter of a key, also on keyboards of other scripts. */
  const letter = ({ key, code }) => (/^[ -~]$/.test(key) ? key.toLowerCase() : code.replace('Key', '').toLowerCase());

  function step(by) {
    const messages = all('.message');
    const at = messages.indexOf(document.activeElement?.closest('.message'));
    const seen = messages.findIndex((message) => message.getBoundingClientRect().bottom > 80);
    const next = messages[at < 0 ? Math.max(seen, 0) : Math.min(Math.max(at + by, 0), messages.length - 1)];
    if (!next) return;
    next.tabIndex = -1;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: 'start', behavior: 'instant' });
  }

  function single(key) {
    const composer = find('#text');
    if (key === '?') show(find('#shortcuts'));
    else if (key === '/' && composer) composer.focus();
    else if (key === 'j') step(1);
    else if (key === 'k') step(-1);
    else {
      const element = all(`[data-shortcut="${CSS.escape(key)}"]`).filter(usable).pop();
      if (!element) return false;
      run(element);
    }
    return true;
  }

  function pressed(event) {
    const { target } = event;
    const key = letter(event);
    const open = find('dialog[open]');
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
      if (key === 'k') return open === palette ? palette.close() || true : show(palette) || true;
      if (key === '/') return show(find('#shortcuts')) || true;
      return false;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || open) return false;
    if (event.key === 'Escape' && target.id === 'text' && !find(':popover-open') && !find('.stream')) target.blur();
    if (event.key.length > 1 || (event.shiftKey && event.key !== '?') || target.closest(TYPING)) return false;
    return setting.get() && single(event.key === '?' ? '?' : key);
  }

  if (palette) {
    document.addEventListener('keydown', (event) => {
      if (event.isComposing || event.keyCode === 229 || event.defaultPrevented || !event.key) return;
      if (pressed(event)) event.preventDefault();
    });
    for (const box of all('[data-single-keys]')) {
      box.checked = setting.get();
      box.addEventListener('change', () => {
        setting.set(box.checked);
        for (const other of all('[data-single-keys]')) other.checked = box.checked;
      });
    }
    if (apple) for (const key of all('[data-modifier]')) key.textContent = '⌘';
  }

  /* 6 app */

  const offline = find('[data-offline-page]');

  /** Load the page in whose place this one is shown once the server answers: it may be the one that was away. */
  async function comeBack(pause) {
    const asked = fetch(location.href, { method: 'HEAD', redirect: 'manual', cache: 'no-store' });
    const answer = await asked.catch(() => null);
    if (answer && answer.status < 500) location.reload();
    else setTimeout(comeBack, pause, Math.min(pause * 2, 60000));
  }

  if (offline && offline.dataset.offlinePage !== location.pathname) {
    addEventListener('online', () => location.reload());
    setTimeout(comeBack, 3000, 5000);
  }

  const worker = palette?.dataset.worker;
  if (worker && navigator.serviceWorker) {
    // Where browsers know Trusted Types, an address of a script comes from a policy: ours lets one through.
    const policy = window.trustedTypes?.createPolicy('stillwater', {
      createScriptURL(address) {
        if (new URL(address, location.origin).href === `${location.origin}/sw.js`) return address;
        throw new TypeError('not the service worker');
      },
    });
    const address = policy?.createScriptURL(worker) ?? worker;
    const register = () => navigator.serviceWorker.register(address, { updateViaCache: 'none' }).catch(() => {});
    addEventListener('load', () => (window.requestIdleCallback ?? setTimeout)(register));
  }

  // Where the keyboard lies over the page instead of making it smaller, the composer is lifted above it.
  const seen = window.visualViewport;
  seen?.addEventListener('resize', () => {
    const covered = seen.scale === 1 ? Math.round(innerHeight - seen.height) : 0;
    root.style.setProperty('--keyboard', `${covered > 80 ? covered : 0}px`);
  });
})();
