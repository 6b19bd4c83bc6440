/* Stillwater's script. The page works without it; with it, it works better.
 *
 * Contents
 *   1  helpers
 *   2  announcements   one polite status for the whole page
 *   3  reading         following, staying, being up to date: reading.js
 *   4  requests        nonce, CSRF token, errors; htmx does the rest
 *   5  composer        keys, drafts
 *   6  thread          focus and place when it is replaced, editing
 *   7  copying
 *   8  theme, list, language
 *   9  start
 *
 * What it says stands in templates/_words.html, in the language of the page.
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
  const words = find('#words').dataset;
  const plural = new Intl.PluralRules(root.lang);

  /** The words for a number of things: `name` and the plural form that the language has for `count`. */
  function counted(name, count) {
    const form = plural.select(count).replace(/^./, (letter) => letter.toUpperCase());
    return (words[name + form] ?? words[`${name}Other`]).replace('{count}', count.toLocaleString(root.lang));
  }

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

  const say = (sentence) => { find('#status').textContent = sentence; };
  const alarm = (sentence) => { find('#alert').textContent = sentence; };
  let wasRunning = false;

  function announce() {
    const isRunning = running();
    if (isRunning && !wasRunning) {
      say(words.generating);
      alarm('');
    }
    if (!isRunning && wasRunning) {
      say(outcome());
      if (!tried) hint(''); // "an answer is still being written" is no longer true
    }
    wasRunning = isRunning;
  }

  /** What has become of the last answer. What went wrong is said at once and not a second time by the status. */
  function outcome() {
    const message = [...document.querySelectorAll('.message.assistant')].pop();
    const status = find('.foot', message)?.dataset.status;
    alarm(find('.foot .notice.error', message)?.innerText ?? '');
    if (status === 'stopped') return words.stopped;
    if (status !== 'completed') return '';
    return counted('done', find(':scope > .prose', message).innerText.match(/\S+/g)?.length ?? 0);
  }

  /* 3 reading */

  const thread = find('#thread');
  const reading = window.reading; // there is one where there is a thread

  /* 4 requests */

  const hint = (sentence) => find('#composer-hint')?.replaceChildren(sentence);
  const QUIET = '.watch, h1 *, [data-quiet]'; // what fails without a word here
  const ASKS = '#composer, .take-back, .edit, .message form'; // what is never answered with nothing
  const isPage = (html) => /^\s*<!doctype/i.test(html);

  on('htmx:config:request', ({ detail: { ctx } }) => {
    const { sourceElement: source, request } = ctx;
    if (source.matches('.stream')) request.headers['Stillwater-Nonce'] = nonce;
    if (request.method === 'POST') {
      // A toolbar that came by the stream has no token of its own.
      request.headers['X-CSRFToken'] = find('[name=csrfmiddlewaretoken]', composer).value;
    }
    if (source === composer) attempt(ctx);
    if (source.matches('.take-back')) takeBack(ctx, find('.queued', source.closest('li')).textContent);
    ctx.place = placeOf(source, request.submitter);
  });

  on('htmx:after:request', (event) => {
    const { ctx } = event.detail;
    const { status, raw } = ctx.response;
    const answer = !ctx.text ? 'nothing' : isPage(ctx.text) ? 'page' : status < 400 ? 'done' : 'refused';
    const leads = raw.headers.has('HX-Redirect'); // to another page
    if (answer === 'nothing' && status === 200 && !leads && ctx.sourceElement.matches(ASKS)) {
      event.preventDefault(); // cut off in its head, which over plain HTTP passes for an answer
      return lost(ctx);
    }
    if (ctx.attempt) answered(ctx, answer);
    if (answer === 'done' || (answer === 'nothing' && status < 400)) {
      if (ctx.sourceElement.matches('.edit')) memory.set(editing, '');
      if (ctx.place) goFrom(ctx.place);
      if (ctx.takenBack) keepSoon(); // the server's draft may be older, or have the text twice
      return;
    }
    if (ctx.takenBack && status < 500) leave(ctx.takenBack);
    if (ctx.text.includes('<hx-partial')) return; // a refusal: it says itself what is wrong
    event.preventDefault(); // a whole page has no place in this one
    if (ctx.sourceElement.matches('.stream')) root.classList.add('offline');
    if (ctx.sourceElement.matches(`.stream, ${QUIET}`)) return;
    if (raw.redirected || status === 403) hint(words.signedOut);
    else if (status === 404) hint(words.gone);
    else hint(words.refused.replace('{status}', status));
  });

  on('htmx:error', ({ detail: { ctx } }) => {
    const source = ctx?.sourceElement;
    if (!source || source.matches(QUIET)) return;
    if (source.matches('.stream')) root.classList.add('offline');
    else lost(ctx);
  });

  function lost(ctx) {
    if (!ctx.attempt || !sendAgain(ctx.attempt)) hint(words.offline);
  }

  const PAUSES = [1000, 3000, 8000]; // milliseconds
  let tried = null; // the first attempt with the form's key of which it is not known whether the server has it
  let again = 0; // the timer of the next one

  /** Note what goes with a request: the text, the files, and all the fields, which are sent once more if it is lost. */
  function attempt(ctx) {
    clearTimeout(keeping);
    clearTimeout(again);
    ctx.attempt ??= { typed: text.value, chips: [...find('#chips').children], body: ctx.request.body, losses: 0 };
    ctx.request.body = ctx.attempt.body;
  }

  /** Send what a cut connection lost, or whose answer it lost: by its key the server knows what it already has. */
  function sendAgain(attempt) {
    tried ??= attempt;
    const pause = navigator.onLine && PAUSES[attempt.losses];
    attempt.losses = pause ? attempt.losses + 1 : 0;
    if (!pause) return false;
    clearTimeout(again);
    again = setTimeout(() => {
      composer.noValidate = true; // the box may be empty by now: its text is not what is sent
      htmx.ajax('POST', composer.action, { source: composer, attempt });
      composer.noValidate = false;
    }, pause);
    hint(words.again);
    return true;
  }

  /** Take out of the composer what the server has, and nothing that it has not. */
  function answered({ attempt, text: html, response }, answer) {
    if (answer === 'done') {
      sent(attempt, html.includes('"#draft-key"'));
    } else if (html.includes('"#composer-key"')) { // the key was used: what was tried first has arrived
      if (tried) taken(tried);
      reading?.refresh();
    } else {
      if (response.status >= 500) tried ??= attempt;
      return keepSoon();
    }
    tried = null;
  }

  on('htmx:sse:error', () => root.classList.add('offline'));
  on('htmx:sse:after:connection', () => root.classList.remove('offline'));

  on('htmx:after:swap', ({ detail: { ctx } }) => {
    announce();
    if (ctx?.place?.left) restore(ctx.place);
    if (ctx?.sourceElement?.matches('[data-act=edit]')) goOnEditing();
    reading?.follow();
  });

  addEventListener('online', () => find('#composer-hint') && hint(''));

  /* 5 composer */

  const start = `draft:${composer?.dataset.owner}:/`;
  const draft = `draft:${composer?.dataset.owner}:${location.pathname}`;
  let keeping = 0;
  let kept = ''; // what the server was told
  let stored = null; // what it said that it has

  /** Keep the text over a reload, and what it goes on with: another device may have gone on with that as well. */
  function note() {
    const record = { text: text.value, key: find('#draft-key').value, at: Date.now(), stored: text.value === stored };
    memory.set(draft, text.value && JSON.stringify(record));
  }

  /** Whether the text that was typed here before a reload is newer than the draft that the server has. */
  function isNewest({ key, at, stored }) {
    if (text.value && !('kept' in text.dataset)) return false; // given by a link
    if (key === find('#draft-key').value) return true; // nobody else has gone on with it
    return !stored && at > 1000 * (text.dataset.kept ?? 0);
  }

  /** Have the server keep the draft, also while the page is being left. A key that was sent with ends its drafts. */
  function keep() {
    clearTimeout(keeping);
    if (!text || text.value === kept) return;
    kept = text.value;
    const body = new FormData();
    for (const name of ['csrfmiddlewaretoken', 'request_key']) body.append(name, find(`[name=${name}]`, composer).value);
    body.append('text', kept);
    const told = kept;
    find('#draft-key').value = body.get('request_key'); // what is sent from here ends this draft
    note();
    const has = () => {
      stored = told;
      if (text.value === told) note();
    };
    const forget = () => { kept = null; };
    // What outlives its page may have 64 kB.
    fetch(composer.dataset.draft, { method: 'POST', body, redirect: 'error', keepalive: kept.length < 15000 })
      .then((answer) => (answer.ok ? has() : forget()), forget);
  }

  function keepSoon() {
    kept = null;
    clearTimeout(keeping);
    keeping = setTimeout(keep, 1000);
  }

  function changed() {
    note();
    if (text.value !== kept) keepSoon();
    if (!CSS.supports('field-sizing', 'content')) text.rows = Math.min(12, text.value.split('\n').length);
    reading?.follow();
  }

  function fill(prompt) {
    text.value = prompt;
    changed();
    text.focus();
    text.setSelectionRange(prompt.length, prompt.length);
  }

  function sent(attempt, queued) {
    taken(attempt);
    find('#stop-first').checked = false; // to interrupt is a decision for one message
    if (queued) say(words.queued);
    else reading?.resume();
    focusComposer();
  }

  const joined = (...texts) => texts.filter((part) => part.trim()).join('\n\n');

  /** Put a waiting message into the composer at once: when the answer is lost, it may be nowhere else. */
  function takeBack(ctx, waiting) {
    if (text.value.includes(waiting)) return; // tried before
    ctx.takenBack = waiting;
    fill(joined(text.value, waiting));
  }

  /** Take it out again when it was not taken back, but sent or removed. */
  function leave(waiting) {
    if (!text.value.endsWith(waiting)) return;
    text.value = text.value.slice(0, -waiting.length).trimEnd();
    changed();
  }

  /** Take away what was sent, and only that: one may have gone on typing, and attached more. */
  function taken({ typed, chips }) {
    if (text.value.startsWith(typed)) text.value = text.value.slice(typed.length);
    for (const chip of chips) chip.remove();
    if (!text.value) kept = ''; // the server has ended the draft of what was sent
    changed();
    composer.dispatchEvent(new Event('taken'));
  }

  on('keydown', (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    const { key, target } = event;
    if (key === 'Enter' && target.matches('textarea')) {
      const asks = event.ctrlKey || event.metaKey || (target === text && !event.shiftKey && !touch);
      if (!asks) return;
      event.preventDefault();
      if (target.value.trim() || find('.chip', target.form)) target.form.requestSubmit();
    } else if (key === 'ArrowUp' && target === text && !text.value && thread && !running()) {
      const edits = document.querySelectorAll('.message.user [data-act=edit]');
      if (!edits.length) return;
      event.preventDefault();
      edits[edits.length - 1].click();
    } else if (key === 'Escape' && !event.defaultPrevented) {
      const slot = target.closest('.edit-slot');
      if (slot) closeEdit(slot);
      else if (!find(':popover-open, dialog[open]') && running()) find('#stop').requestSubmit();
    }
  });

  on('submit', (event) => {
    const form = event.target;
    if (form !== composer || form.hasAttribute('hx-post')) return;
    if (navigator.onLine) {
      memory.set('sent-at', performance.timeOrigin + performance.now()); // for measuring.js, on the next page
      memory.set('begun', 'yes'); // the draft of the first page ends when the conversation is there
      form.dataset.sent = 'yes';
      clearTimeout(keeping);
    } else {
      event.preventDefault();
      hint(words.offline);
    }
  });

  /* 6 thread */

  /** Return where an action is started, because what it brings replaces that place; nothing for what does not. */
  function placeOf(source, submitter) {
    const message = source.closest('.message');
    const act = (submitter ?? find('[data-act]', source))?.dataset.act;
    if (!message || source.matches('.stream, .quiet, a')) return null;
    return { message, act, moves: act === 'previous' || act === 'next', left: false };
  }

  /** Note where the page is before it changes; an action that is refused moves nobody. */
  function goFrom(place) {
    const { message, moves } = place;
    const { bottom } = message.getBoundingClientRect();
    Object.assign(place, { left: message.isConnected, bottom, index: [...thread.children].indexOf(message) });
    if (moves) reading.leave();
    else reading.resume();
  }

  function restore({ message: before, act, moves, index, bottom }) {
    if (before.isConnected) return; // it was not replaced
    if (!moves) return focusComposer();
    const message = thread.children[index];
    if (!message) return;
    const buttons = [find(`[data-act=${act}]`, message), find('.versions [data-act]', message)];
    buttons.find(Boolean)?.focus({ preventScroll: true });
    reading.leave();
    scrollBy({ top: message.getBoundingClientRect().bottom - bottom, behavior: 'instant' });
  }

  const editing = `edit:${composer?.dataset.owner}:${location.pathname}`;
  const edited = () => JSON.parse(memory.get(editing) ?? 'null');

  /** Put into an edit form that has been opened what was typed into it before: it may have failed to be sent. */
  function goOnEditing() {
    const { message, words } = edited() ?? {};
    const area = message && find(`#${message} .edit textarea`);
    if (area) area.value = words;
  }

  function closeEdit(slot) {
    memory.set(editing, '');
    slot.replaceChildren();
    find('[data-act=edit]', slot.closest('.message'))?.focus();
    reading.refresh(); // that waits while one edits
  }

  on('input', ({ target }) => {
    if (!target.matches('.edit textarea')) return;
    memory.set(editing, JSON.stringify({ message: target.closest('.message')?.id, words: target.value }));
  });

  // When htmx is there: else the link leads to a page.
  addEventListener('load', () => {
    const message = thread && window.htmx && edited()?.message;
    if (message) find(`#${message} [data-act=edit]`)?.click();
  });

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
      fill(joined(text.value, new URL(link.href).searchParams.get('q')));
    } else if (link.matches('[data-copy]')) {
      copied(link, copy(find(`#${link.dataset.copy}`).value));
    } else if (link.matches('[data-print]')) {
      print();
    } else if (link.matches('.copy')) {
      copied(link, copy(find('pre', link.closest('figure')).textContent));
    } else if (link.matches('.permalink') && plain) {
      event.preventDefault();
      copied(link, copy(link.href));
    } else if (link.matches('.copy-answer, .copy-message') && plain) {
      event.preventDefault();
      copied(link, copy(textOf(link)));
    }
  });

  // Where one says why can open behind the composer.
  on('toggle', ({ target }) => { if (target.matches('.comment[open]')) target.scrollIntoView({ block: 'nearest' }); }, true);

  // The server knows its own time of day, the browser that of the reader.
  on('toggle', ({ target, newState }) => {
    const time = newState === 'open' && target.matches('.answer-menu') && find('time', target);
    if (!time) return;
    time.textContent = new Date(time.dateTime).toLocaleString(root.lang, { dateStyle: 'short', timeStyle: 'short' });
  }, true);

  /* 7 copying */

  /** The text that a link leads to; the page for signing in, to which it may lead instead, is none. */
  async function textOf(link) {
    const answer = await fetch(link.href, { redirect: 'manual' });
    if (answer.type === 'opaqueredirect') hint(words.signedOut);
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return answer.text();
  }

  /** Put a text, or the promise of one, on the clipboard; also where the page may not use the clipboard's own API. */
  async function copy(source) {
    if (navigator.clipboard && window.ClipboardItem) {
      const blob = Promise.resolve(source).then((plain) => new Blob([plain], { type: 'text/plain' }));
      try { return await navigator.clipboard.write([new ClipboardItem({ 'text/plain': blob })]); } catch { /* go on */ }
    }
    const area = document.createElement('textarea');
    area.value = await source;
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
    const outcome = done ? words.copied : words.copyingFailed;
    say(outcome);
    button.focus({ preventScroll: true });
    const use = find('use', button);
    if (use) use.setAttribute('href', done ? '#i-check' : '#i-alert');
    else button.textContent = done ? words.copied : words.failed;
    setTimeout(() => {
      if (use) use.setAttribute('href', button.matches('.permalink') ? '#i-link' : '#i-copy');
      else button.textContent = words.copy;
      if (find('#status').textContent === outcome) say('');
    }, 2000);
  }

  /* 8 theme, list, language */

  on('submit', (event) => {
    const form = event.target;
    if (!form.matches('.theme') || !event.submitter) return;
    event.preventDefault();
    const choice = event.submitter.value;
    const known = choice === 'light' || choice === 'dark';
    if (known) root.dataset.theme = choice;
    else delete root.dataset.theme;
    find('meta[name=color-scheme]').content = known ? choice : 'light dark';
    for (const meta of document.querySelectorAll('meta[name=theme-color]')) meta.content = getComputedStyle(document.body).backgroundColor;
    for (const button of form.querySelectorAll('button')) button.setAttribute('aria-pressed', button === event.submitter);
    fetch(form.action, { method: 'POST', body: new FormData(form, event.submitter), redirect: 'manual' }).catch(() => {});
  });

  on('submit', (event) => {
    const form = event.target;
    if (!form.matches('.list-form') || !event.submitter) return;
    event.preventDefault();
    const body = new FormData(form, event.submitter);
    const hidden = event.submitter.value === 'hidden';
    find('#sidebar:popover-open')?.hidePopover();
    if (hidden) root.dataset.list = 'hidden';
    else delete root.dataset.list;
    find(hidden ? '.topbar [popovertarget=sidebar]' : '.hide-list').focus({ preventScroll: true });
    reading?.follow();
    fetch(form.action, { method: 'POST', body, redirect: 'manual', keepalive: true }).catch(() => {});
  });

  on('change', ({ target }) => {
    if (target.matches('[data-send-on-change]')) target.form.requestSubmit();
  });

  /* 9 start */

  root.classList.add('js');
  if (composer && !window.htmx) {
    // Its script was lost on the way: forms work without it, but no text would arrive by itself.
    root.classList.add('broken');
  }
  addEventListener('pagehide', keep);
  on('visibilitychange', () => document.hidden && keep());
  on('input', (event) => { if (event.target === text) changed(); });

  // A page from the back/forward cache shows the past: its key is spent.
  addEventListener('pageshow', (event) => {
    if (event.persisted && composer?.dataset.sent) location.reload();
  });

  if (text) {
    if (thread && memory.get('begun')) {
      memory.set('begun', '');
      memory.set(start, '');
    }
    kept = text.value;
    let typed = null;
    try { typed = JSON.parse(memory.get(draft)); } catch { /* of an earlier version */ }
    if (typed && isNewest(typed)) text.value = typed.text;
    if (text.value !== kept) keepSoon();
    if (text.value) text.setSelectionRange(text.value.length, text.value.length);
    focusComposer();
  }
  announce();
  const arrived = performance.getEntriesByType('navigation')[0]?.type === 'navigate';
  reading?.start(arrived && (!location.hash || location.hash === '#latest'));
})();
