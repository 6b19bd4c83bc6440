/* Stillwater's script. The page works without it; with it, it works better.
 *
 * Contents
 *   1  helpers
 *   2  announcements   one polite status for the whole page
 *   3  following       the stream at the bottom, unless the reader looks elsewhere
 *   4  requests        nonce, CSRF token, errors; htmx does the rest
 *   5  composer        keys, drafts
 *   6  thread          focus and place when it is replaced, editing
 *   7  copying
 *   8  theme
 *   9  start
 *
 * It writes text and attributes only, never HTML, so that it needs no Trusted Types policy.
 */
(() => {
  'use strict';

  /* 1 helpers */

  const root = document.documentElement;
  const find = (selector, from = document) => from.querySelector(selector);
  const on = (type, handler, options) => document.addEventListener(type, handler, options);
  const touch = matchMedia('(hover: none) and (pointer: coarse)').matches;
  const nonce = find('script[nonce]')?.nonce;
  const composer = find('#composer');
  const text = find('#text');
  const running = () => find('.stream');

  const memory = {
    get(key) { try { return sessionStorage.getItem(key); } catch { return null; } },
    set(key, value) {
      try { value ? sessionStorage.setItem(key, value) : sessionStorage.removeItem(key); } catch { /* not allowed here */ }
    },
  };

  function focusComposer() {
    if (!touch) text?.focus({ preventScroll: true });
  }

  /* 2 announcements */

  const say = (words) => { find('#status').textContent = words; };
  let wasRunning = false;

  function announce() {
    const isRunning = running();
    if (isRunning && !wasRunning) say('Generating');
    if (!isRunning && wasRunning) {
      say(outcome());
      hint(''); // "an answer is still being written" is no longer true
    }
    wasRunning = isRunning;
  }

  /** What has become of the last answer. Errors are alerts in the page, so they are not said twice. */
  function outcome() {
    const message = [...document.querySelectorAll('.message.assistant')].pop();
    const status = find('.foot', message)?.dataset.status;
    if (status === 'stopped') return 'Stopped';
    if (status !== 'completed') return '';
    const words = find(':scope > .prose', message).innerText.match(/\S+/g)?.length ?? 0;
    return `Done, ${words} ${words === 1 ? 'word' : 'words'}`;
  }

  /* 3 following */

  const thread = find('#thread');
  const jump = find('#jump');
  const below = () => root.scrollHeight - innerHeight - scrollY;
  let following = true;
  let lastTop = 0;

  function toLatest() {
    following = true;
    scrollTo({ top: root.scrollHeight, behavior: 'instant' });
  }

  function follow() {
    const selection = getSelection();
    if (!selection.isCollapsed && thread.contains(selection.anchorNode)) following = false;
    if (following) toLatest();
    showJump();
  }

  function showJump() {
    jump.hidden = below() < 200;
  }

  if (thread) {
    addEventListener('scroll', () => {
      if (below() < 4) following = true;
      else if (scrollY < lastTop) following = false;
      lastTop = scrollY;
      showJump();
    }, { passive: true });
    addEventListener('resize', showJump);
    // Somebody who opens a panel or moves through the text with the keyboard is reading there.
    thread.addEventListener('focusin', () => { following = false; });
    thread.addEventListener('toggle', () => { following = false; showJump(); }, true);
    jump.addEventListener('click', () => { toLatest(); focusComposer(); });
  }

  /* 4 requests */

  const hint = (words) => { find('#composer-hint').textContent = words; };
  const isPage = (html) => /^\s*<!doctype/i.test(html);

  on('htmx:config:request', ({ detail: { ctx } }) => {
    const { sourceElement: source, request } = ctx;
    if (source.matches('.stream')) request.headers['Stillwater-Nonce'] = nonce;
    if (request.method === 'POST') {
      // A toolbar that came by the stream has no token of its own.
      request.headers['X-CSRFToken'] = find('[name=csrfmiddlewaretoken]', composer).value;
    }
    if (source === composer) ctx.typed = text.value;
    remember(source, request.submitter);
  });

  on('htmx:after:request', (event) => {
    const { ctx } = event.detail;
    const { status, raw } = ctx.response;
    if (status < 400 && !isPage(ctx.text)) {
      if (ctx.sourceElement === composer) sent(ctx.typed);
      return;
    }
    if (ctx.text.includes('<hx-partial')) return; // a refusal: it says itself what is wrong
    event.preventDefault(); // a whole page has no place in this one
    if (ctx.sourceElement.matches('.stream')) root.classList.add('offline');
    if (ctx.sourceElement.matches('.stream, h1 *')) return;
    if (raw.redirected || status === 403) hint('You are signed out, it seems. Your text is kept: reload the page.');
    else if (status === 404) hint('This is gone: it may have been deleted in another tab. Your text is kept.');
    else hint(`The server could not do this (${status}). Your text is kept: try again in a moment.`);
  });

  on('htmx:error', ({ detail: { ctx } }) => {
    const source = ctx?.sourceElement;
    if (!source || source.matches('h1 *')) return;
    if (source.matches('.stream')) root.classList.add('offline');
    else hint('You seem to be offline; your text is kept. Try again when you are back.');
  });

  on('htmx:sse:error', () => root.classList.add('offline'));
  on('htmx:sse:after:connection', () => root.classList.remove('offline'));

  on('htmx:after:swap', () => {
    announce();
    restore();
    if (thread) follow();
  });

  addEventListener('online', () => find('#composer-hint') && hint(''));

  /* 5 composer */

  const draft = `draft:${location.pathname}`;

  function changed() {
    memory.set(draft, text.value);
    if (!CSS.supports('field-sizing', 'content')) text.rows = Math.min(12, text.value.split('\n').length);
    if (thread && following) toLatest();
  }

  function fill(words) {
    text.value = words;
    changed();
    text.focus();
    text.setSelectionRange(words.length, words.length);
  }

  /** Take away what was sent, and only that: one may have gone on typing. */
  function sent(typed) {
    text.value = text.value.startsWith(typed) ? text.value.slice(typed.length) : text.value;
    find('#stop-first').checked = false; // to interrupt is a decision for one message
    following = true;
    changed();
    focusComposer();
  }

  on('keydown', (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    const { key, target } = event;
    if (key === 'Enter' && target.matches('textarea')) {
      const asks = event.ctrlKey || event.metaKey || (target === text && !event.shiftKey && !touch);
      if (!asks) return;
      event.preventDefault();
      if (target.value.trim()) target.form.requestSubmit();
    } else if (key === 'Escape') {
      const slot = target.closest('.edit-slot');
      if (slot) closeEdit(slot);
      else if (!find(':popover-open') && running()) find('#stop').requestSubmit();
    }
  });

  on('submit', (event) => {
    const form = event.target;
    if (form !== composer || form.hasAttribute('hx-post')) return;
    if (navigator.onLine) {
      memory.set('begun', 'yes'); // the draft of the first page ends when the conversation is there
      form.dataset.sent = 'yes';
    } else {
      event.preventDefault();
      hint('You seem to be offline; your text is kept. Try again when you are back.');
    }
  });

  /* 6 thread */

  let place = null;

  /** Note where an action was started, because what it brings replaces that place. */
  function remember(source, submitter) {
    const message = source.closest('.message');
    const button = submitter ?? find('[data-act]', source);
    if (!message || source.matches('.stream, a')) return;
    const act = button?.dataset.act;
    const index = [...thread.children].indexOf(message);
    const moves = act === 'previous' || act === 'next';
    place = { message, index, act, moves, bottom: message.getBoundingClientRect().bottom };
    following = !moves;
  }

  function restore() {
    if (!place || place.message.isConnected) return; // some other swap
    const { index, act, moves, bottom } = place;
    place = null;
    if (!moves) return focusComposer();
    const message = thread.children[index];
    if (!message) return;
    const buttons = [find(`[data-act=${act}]`, message), find('.versions [data-act]', message)];
    buttons.find(Boolean)?.focus({ preventScroll: true });
    following = false;
    scrollBy({ top: message.getBoundingClientRect().bottom - bottom, behavior: 'instant' });
  }

  function closeEdit(slot) {
    slot.replaceChildren();
    find('[data-act=edit]', slot.closest('.message'))?.focus();
  }

  on('click', (event) => {
    const link = event.target.closest('a, button');
    if (!link) return;
    const slot = link.matches('[data-cancel]') && link.closest('.edit-slot');
    const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey;
    if (slot) {
      event.preventDefault();
      closeEdit(slot);
    } else if (link.matches('[data-prompt]') && plain) {
      event.preventDefault();
      fill(new URL(link.href).searchParams.get('q'));
    } else if (link.matches('.copy')) {
      copied(link, copy(find('pre', link.closest('figure')).textContent));
    } else if (link.matches('.copy-answer') && plain) {
      event.preventDefault();
      copied(link, copy(fetch(link.href).then((answer) => (answer.ok ? answer.text() : Promise.reject(answer)))));
    }
  });

  /* 7 copying */

  /** Put a text, or the promise of one, on the clipboard; also where the page may not use the clipboard's own API. */
  async function copy(words) {
    if (navigator.clipboard && window.ClipboardItem) {
      const blob = Promise.resolve(words).then((plain) => new Blob([plain], { type: 'text/plain' }));
      try { return await navigator.clipboard.write([new ClipboardItem({ 'text/plain': blob })]); } catch { /* go on */ }
    }
    const area = document.createElement('textarea');
    area.value = await words;
    area.className = 'visually-hidden';
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    if (!done) throw new Error('The browser refused the clipboard');
  }

  async function copied(button, copying) {
    let done = true;
    try { await copying; } catch { done = false; }
    const words = done ? 'Copied' : 'Copying failed';
    say(words);
    button.focus({ preventScroll: true });
    const use = find('use', button);
    if (use) use.setAttribute('href', done ? '#i-check' : '#i-alert');
    else button.textContent = done ? 'Copied' : 'Failed';
    setTimeout(() => {
      if (use) use.setAttribute('href', '#i-copy');
      else button.textContent = 'Copy';
      if (find('#status').textContent === words) say('');
    }, 2000);
  }

  /* 8 theme */

  on('submit', (event) => {
    const form = event.target;
    if (!form.matches('.theme') || !event.submitter) return;
    event.preventDefault();
    const choice = event.submitter.value;
    const known = choice === 'light' || choice === 'dark';
    if (known) root.dataset.theme = choice;
    else delete root.dataset.theme;
    find('meta[name=color-scheme]').content = known ? choice : 'light dark';
    for (const button of form.querySelectorAll('button')) button.setAttribute('aria-pressed', button === event.submitter);
    fetch(form.action, { method: 'POST', body: new FormData(form, event.submitter), redirect: 'manual' }).catch(() => {});
  });

  /* 9 start */

  root.classList.add('js');
  on('input', (event) => { if (event.target === text) changed(); });

  // A page from the back/forward cache shows the past: its stream is closed, its key may be spent.
  addEventListener('pageshow', (event) => {
    if (event.persisted && (running() || composer?.dataset.sent)) location.reload();
  });

  if (text) {
    if (thread && memory.get('begun')) {
      memory.set('begun', '');
      memory.set('draft:/', '');
    }
    if (!text.value) text.value = memory.get(draft) ?? '';
    if (text.value) text.setSelectionRange(text.value.length, text.value.length);
    focusComposer();
  }
  announce();
  if (thread) {
    const arrived = performance.getEntriesByType('navigation')[0]?.type === 'navigate';
    if (arrived && (!location.hash || location.hash === '#latest')) toLatest();
    following = below() < 4;
    showJump();
  }
})();
