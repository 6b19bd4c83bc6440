/* The list of conversations. Everything here works without it, by links and forms; with it, in place.
 *
 * Contents
 *   1  menu        what can be done with one conversation, beside its row
 *   2  rename      in place: F2, Escape
 *   3  search      Escape, arrows
 *   4  live        which conversations are being answered, asked for now and then
 *   5  at work     what comes late takes neither the focus nor the list from who is at work
 *   6  managing    all on the page, ranges with Shift
 */
(() => {
  'use strict';

  const find = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const on = (type, handler) => document.addEventListener(type, handler);

  /* 1 menu */

  const menu = find('#item-menu');
  let opener = null;

  function openMenu(link) {
    opener = link;
    const { top, bottom, left, right } = link.getBoundingClientRect();
    menu.showPopover();
    const { offsetHeight: height, offsetWidth: width } = menu;
    const below = bottom + height + 8 < innerHeight;
    menu.style.top = `${Math.max(8, below ? bottom + 4 : Math.min(top - height - 4, innerHeight - height - 8))}px`;
    const start = document.dir === 'rtl' ? right - width : left;
    menu.style.left = `${Math.min(Math.max(8, start), innerWidth - width - 8)}px`;
    find('a, button, input:not([type=hidden])', menu)?.focus();
  }

  function closeMenu() {
    if (menu?.matches(':popover-open')) menu.hidePopover();
  }

  menu?.addEventListener('toggle', ({ newState }) => {
    if (newState !== 'closed') return;
    menu.replaceChildren();
    if (opener?.isConnected && menu.contains(document.activeElement)) opener.focus();
  });

  on('htmx:after:swap', ({ detail: { ctx } }) => {
    const source = ctx?.sourceElement;
    if (!source) return;
    if (source.matches('.options[hx-get]') && menu.firstElementChild) openMenu(source);
    else if (source.matches('[data-closes]')) moved(source);
    else if (source.closest('.tags-of')) find('#new-tag')?.focus();
  });

  /** An action of the menu is done: its row may be gone, and the keyboard needs a place. */
  function moved(source) {
    const row = opener?.closest('.row');
    const id = row?.id;
    closeMenu();
    if (source.matches('a')) {
      const field = find('.rename-row input[autofocus]', document.getElementById(id) ?? document);
      field?.focus();
      return field?.select();
    }
    const next = (id && document.getElementById(id)) || find('#conversations .row');
    return find('.place', next ?? document)?.focus({ preventScroll: !row?.isConnected });
  }

  /* 2 rename */

  on('keydown', (event) => {
    if (event.isComposing) return;
    const { key, target } = event;
    if (key === 'F2' && target.matches('.row .place')) {
      event.preventDefault();
      menu.dataset.then = 'rename';
      find('.options', target.closest('.row')).click();
    } else if (key === 'Escape' && target.closest('.rename-row')) {
      event.preventDefault(); // else it closes the drawer
      event.stopImmediatePropagation(); // and stops an answer
      find('[data-cancel-rename]', target.closest('.row')).click();
    }
  });

  on('htmx:after:swap', () => {
    if (menu?.dataset.then !== 'rename' || !menu.firstElementChild) return;
    delete menu.dataset.then;
    find('a[data-closes]', menu).click();
  });

  /* 3 search */

  const search = find('#search');
  const results = find('#results');

  search?.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && search.value) {
      event.preventDefault();
      search.value = '';
      search.dispatchEvent(new Event('input', { bubbles: true }));
    } else if (event.key === 'ArrowDown') {
      event.preventDefault();
      find('a', results.firstElementChild ? results : find('#conversations'))?.focus();
    }
  });

  find('#sidebar')?.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !event.target.matches('.place, .hit')) return;
    event.preventDefault();
    const list = results.contains(event.target) ? results : find('#conversations');
    const places = all('.place, .hit', list);
    const next = places[places.indexOf(event.target) + step];
    (next ?? (step < 0 ? search : event.target)).focus();
  });

  /* 4 live */

  const anew = find('#list-anew');
  const SLOW = 25000;
  const FAST = 4000;
  let newest = null;
  let timer;

  function show(running) {
    for (const place of all('#sidebar .row > .place')) {
      place.toggleAttribute('data-live', running.has(place.parentElement.id.slice(4)));
    }
  }

  /** The list may be replaced when nobody is at work in it. */
  const untouched = () => !find('#conversations').scrollTop && !find('#sidebar').contains(document.activeElement)
    && !find('.rename-row');

  async function ask() {
    clearTimeout(timer);
    if (document.hidden) return;
    let busy = false;
    try {
      const answer = await fetch(`${anew.dataset.state}?open=${anew.dataset.open}`, { redirect: 'error' });
      if (!answer.ok) throw new Error(answer.status);
      const state = await answer.json();
      if (state.gone) return; // the reader is told when the page looks for what it lacks
      const running = new Set(state.running);
      if (newest === null || untouched()) {
        if (newest !== null && newest !== state.newest) anew.dispatchEvent(new Event('anew'));
        newest = state.newest;
      }
      show(running);
      busy = [...running].some((id) => id !== anew.dataset.open);
    } catch { /* offline, or signed out: the next time */ }
    clearTimeout(timer);
    timer = setTimeout(ask, busy ? FAST : SLOW);
  }

  if (anew) {
    const busy = find('#conversations [data-live]:not([aria-current])');
    timer = setTimeout(ask, busy ? FAST : SLOW);
    on('visibilitychange', ask);
    on('htmx:sse:close', () => { clearTimeout(timer); timer = setTimeout(ask, 1000); });
  }

  /* 5 at work */

  const where = () => [document.activeElement, document.activeElement?.value];

  on('htmx:config:request', ({ detail: { ctx } }) => { ctx.where = where(); });

  on('htmx:before:swap', ({ detail: { ctx, tasks } }) => {
    const source = ctx?.sourceElement;
    if (!source) return;
    if (ctx.where && isElsewhere(ctx.where)) {
      for (const field of tasks.flatMap(({ fragment }) => all('[autofocus]', fragment))) field.removeAttribute('autofocus');
    }
    if (source === anew || !source.closest('#sidebar, #undo')) spareList(tasks);
  });

  /** Whether somebody has gone on since: to another element, or by typing. */
  function isElsewhere([element, value]) {
    const [now, typed] = where();
    return now !== document.body && (now !== element || typed !== value);
  }

  /** Leave the list as it is while somebody is at work in it: it is asked for anew after that. */
  function spareList(tasks) {
    const place = tasks.findIndex(({ target }) => target?.id === 'conversations');
    if (place < 0 || untouched()) return;
    tasks.splice(place, 1);
    newest = '';
  }

  /* 6 managing */

  const ticks = all('#bulk [name=ids]');
  const every = find('[data-all]');
  let last = -1;

  if (every) every.closest('.all').hidden = false;
  every?.addEventListener('change', () => { for (const tick of ticks) tick.checked = every.checked; });

  find('#bulk')?.addEventListener('click', ({ target, shiftKey }) => {
    const place = ticks.indexOf(target);
    if (place < 0) return;
    if (shiftKey && last >= 0) {
      for (const tick of ticks.slice(Math.min(last, place), Math.max(last, place) + 1)) tick.checked = target.checked;
    }
    last = place;
    every.checked = ticks.every((tick) => tick.checked);
  });
})();
