/* Reading a conversation: where the page stands, and that it shows the truth. Loaded before stillwater.js.
 *
 * Contents
 *   1  following   the stream at the bottom, until the reader looks elsewhere
 *   2  stillness   what is read stays where it is when something above it changes
 *   3  asking      for what a stream does not bring; on networks that let none through, instead of it
 *   4  truth       what happened while the page was asleep or another one was in use
 *
 * Like stillwater.js it writes attributes only; HTML goes through htmx.
 */
(() => {
  'use strict';

  const root = document.documentElement;
  const thread = document.querySelector('#thread');
  const nonce = document.querySelector('script[nonce]').nonce;
  const on = (type, handler) => document.addEventListener(type, handler);
  const isLate = () => thread.querySelector(':scope > .later'); // the page shows an earlier part
  const streams = () => [...document.querySelectorAll('.stream')];

  /* 1 following */

  const below = () => root.scrollHeight - innerHeight - scrollY;
  const jump = () => document.querySelector('#jump');
  let following = true;
  let lastTop = scrollY;

  function latest() {
    following = true;
    scrollTo({ top: root.scrollHeight, behavior: 'instant' });
    lastTop = scrollY;
    showJump();
  }

  function leave() {
    following = false;
    showJump();
  }

  function follow() {
    if (following) latest();
    else showJump();
  }

  function showJump() {
    const button = jump();
    if (button) button.hidden = !isLate() && below() < 200 && (following || !streams().length);
  }

  addEventListener('scroll', () => {
    // Up, and not because the page has become shorter.
    if (scrollY < lastTop - 0.5 && below() > 1) leave();
    lastTop = scrollY;
    showJump();
  }, { passive: true });
  addEventListener('resize', follow);
  // Somebody who selects text, opens a panel or moves through the text with the keyboard is reading there.
  on('selectionchange', () => {
    const selection = getSelection();
    if (!selection.isCollapsed && thread.contains(selection.anchorNode)) leave();
  });
  thread.addEventListener('focusin', leave);
  thread.addEventListener('toggle', leave, true);
  on('click', ({ target }) => {
    if (!target.closest('#jump')) return;
    if (isLate()) location.assign(`${location.pathname}#latest`);
    else latest();
    if (matchMedia('(hover: hover)').matches) document.querySelector('#text').focus({ preventScroll: true });
  });

  window.reading = {
    follow, latest, leave, refresh,
    resume() { following = true; },
    start(arrived) {
      if (arrived) latest();
      following = below() < 4 && !isLate();
      showJump();
    },
  };

  /* 2 stillness */

  let marks = [];

  /** Note where the blocks are, those that the reader sees first: one that outlives the change tells how far it moved. */
  function mark() {
    const hidden = [];
    const seen = ({ top, bottom }) => bottom > 60 && top < innerHeight;
    for (const message of thread.querySelectorAll(':scope > .message')) {
      if (!seen(message.getBoundingClientRect())) continue;
      for (const block of message.querySelectorAll(':scope > .bubble, :scope > .prose > .body > *')) {
        const place = block.getBoundingClientRect();
        (seen(place) ? marks : hidden).push([block, place.top]);
      }
    }
    marks.push(...hidden);
  }

  on('htmx:before:swap', ({ detail: { tasks } }) => {
    marks = [];
    const appends = tasks.every(({ swapSpec }) => /^(beforeend|none)$/.test(swapSpec.style));
    if (!following && !appends) mark();
    dropShown(tasks);
  });

  /** Take out of what is appended the messages that are there by now: two answers that were under way may bring them. */
  function dropShown(tasks) {
    const leaving = new Set(tasks.filter(({ swapSpec }) => swapSpec.style === 'delete').map(({ target }) => target));
    for (const { swapSpec, target, fragment } of tasks) {
      if (target !== thread || swapSpec.style !== 'beforeend') continue;
      for (const message of fragment.querySelectorAll('.message[id]')) {
        const there = document.getElementById(message.id);
        if (there && !leaving.has(there)) message.remove();
      }
    }
  }

  on('htmx:after:swap', () => {
    const kept = marks.find(([block]) => block.isConnected);
    marks = [];
    if (!kept || following) return;
    const moved = kept[0].getBoundingClientRect().top - kept[1];
    if (Math.abs(moved) >= 0.5) scrollBy({ top: moved, behavior: 'instant' });
    lastTop = scrollY;
  });

  /* 3 asking */

  const PATIENCE = 8000; // milliseconds without a word; a model may think for long, so asking often brings nothing
  const BLOCKED = 'stream-blocked';
  const states = new WeakMap();
  let misses = 0; // how often in a row asking brought what a stream should have brought

  const memory = {
    get blocked() { try { return sessionStorage.getItem(BLOCKED); } catch { return null; } },
    set blocked(value) {
      try { value ? sessionStorage.setItem(BLOCKED, value) : sessionStorage.removeItem(BLOCKED); } catch { /* not allowed */ }
    },
  };

  const get = (url, headers) => fetch(url, {
    headers: { 'HX-Request': 'true', 'Stillwater-Nonce': nonce, ...headers },
    cache: 'no-store',
    signal: AbortSignal.timeout(15000),
  });

  const swap = (html) => htmx.swap({ text: html, sourceElement: thread, target: thread, swap: 'none' });

  function stateOf(stream) {
    if (!states.has(stream)) {
      const patience = 'polled' in stream.dataset ? 1000 : memory.blocked ? 2000 : misses ? PATIENCE / 2 : PATIENCE;
      states.set(stream, { heard: Date.now(), patience, asking: false });
    }
    return states.get(stream);
  }

  on('htmx:sse:before:message', ({ target, detail: { message } }) => {
    if (!target.matches?.('.stream')) return;
    if (message.id) target.dataset.position = message.id;
    Object.assign(stateOf(target), { heard: Date.now(), patience: PATIENCE });
    misses = 0;
    memory.blocked = '';
  });

  on('htmx:config:request', ({ detail: { ctx } }) => {
    const { sourceElement: source, request } = ctx;
    if (request.method === 'POST') request.headers['Stillwater-Shown'] = shown();
    if (!source.matches('.stream')) return;
    const url = new URL(request.action, location); // a stream that begins anew begins where the page is
    url.searchParams.set('from', source.dataset.position);
    request.action = url.pathname + url.search;
    stateOf(source).abort = () => request.abort?.();
  });

  // A tab that was opened in the background would hold one of the browser's few connections; it asks once it is seen.
  on('htmx:before:request', (event) => {
    if (document.hidden && event.target.matches?.('.stream')) event.preventDefault();
  });

  async function ask(stream) {
    const state = stateOf(stream);
    const { position, progress } = stream.dataset;
    const polled = 'polled' in stream.dataset || misses > 0 || memory.blocked;
    state.asking = true;
    try {
      const answer = await get(`${progress}?from=${encodeURIComponent(position)}${polled ? '&polled' : ''}`);
      if (answer.redirected || answer.status === 404) refresh(); // signed out or deleted: it says so
      if (answer.redirected || answer.status >= 400) throw new Error(`status ${answer.status}`);
      root.classList.remove('offline');
      const html = answer.status === 204 ? '' : await answer.text();
      if (!stream.isConnected || stream.dataset.position !== position) return; // the stream was quicker
      if (html) {
        misses += 1;
        if (polled) memory.blocked = 'yes';
        const swapped = swap(html);
        state.abort?.(); // one that has not been answered would keep a connection for good
        await swapped;
        if (!streams().some(({ dataset }) => dataset.progress === progress)) ended();
      } else if (!('polled' in stream.dataset)) state.patience = Math.min(state.patience * 1.5, 30000);
    } catch {
      root.classList.add('offline');
      state.patience = Math.min(state.patience * 1.5, 15000);
    } finally {
      state.heard = Date.now();
      state.asking = false;
    }
  }

  /** Tell those who wait for the end of an answer, as the stream does that comes through. */
  function ended() {
    document.dispatchEvent(new CustomEvent('htmx:sse:close', { detail: {} }));
  }

  /* 4 truth */

  let lastTick = Date.now();
  let refreshing = false;
  let missed = false; // an occasion to refresh, because something was being sent
  const acting = new Set(); // what is being sent: its answer says itself how the thread has changed

  on('htmx:before:request', ({ detail: { ctx } }) => {
    if (ctx.request.method === 'POST') acting.add(ctx);
  });

  on('htmx:finally:request', ({ detail: { ctx } }) => {
    // The answer for a queue that was replaced meanwhile was thrown away: the one that is there now asks again.
    if (ctx.sourceElement.matches('.watch') && !ctx.sourceElement.isConnected && ctx.status === 'issuing') ended();
    if (!acting.delete(ctx) || acting.size || !missed) return;
    missed = false;
    refresh();
  });

  /** What the page shows of the thread's end; nothing when it shows another part. */
  function shown() {
    if (isLate()) return '-';
    const messages = [...thread.querySelectorAll(':scope > .message')].slice(-150);
    return messages.map((message) => `${message.id}.${message.querySelector('[data-tag]')?.dataset.tag}`).join(' ');
  }

  async function refresh() {
    if (refreshing || document.hidden || isLate() || thread.querySelector('.edit')) return;
    missed = acting.size > 0;
    if (missed) return;
    refreshing = true;
    try {
      const known = shown();
      const answer = await get(thread.dataset.fresh, { 'Stillwater-Shown': known });
      const words = document.querySelector('#words').dataset;
      if (answer.redirected) hint(words.signedOut);
      else if (answer.status === 404) hint(words.gone);
      else if (answer.status === 200 && known === shown()) {
        const html = await answer.text();
        missed = acting.size > 0;
        if (missed || known !== shown()) return;
        if (!streams().length) leave(); // what came meanwhile is below; the reader stays
        await swap(html);
      }
    } catch { /* the next occasion comes */ } finally {
      refreshing = false;
    }
  }

  function hint(sentence) {
    document.querySelector('#composer-hint').textContent = sentence;
  }

  function wake() {
    lastTick = Date.now();
    refresh();
    for (const stream of streams()) {
      const state = stateOf(stream);
      state.heard = Date.now() - state.patience + 2000; // it may come by itself
    }
  }

  function tick() {
    if (Date.now() - lastTick > 20000) wake(); // the machine was asleep
    lastTick = Date.now();
    if (document.hidden) return;
    for (const stream of streams()) {
      const { heard, patience, asking } = stateOf(stream);
      if (!asking && Date.now() - heard >= patience) ask(stream);
    }
  }

  setInterval(tick, 1000);
  on('visibilitychange', () => { if (!document.hidden) wake(); });
  addEventListener('pageshow', ({ persisted }) => { if (persisted) wake(); });
  addEventListener('online', wake);
  addEventListener('focus', refresh);
})();
