/* When the first text of an answer was on the screen, told once for each answer. Shows nothing, changes nothing.
 * When a conversation is begun, the page before it has noted the moment (stillwater.js).
 *
 * Contents
 *   1  sending   the moment when something was asked for, kept over the change to another page
 *   2  painting  the first text behind it, when it has been painted
 *   3  telling   one beacon
 */
(() => {
  'use strict';

  const KEY = 'sent-at';
  const find = (selector, from = document) => from.querySelector(selector);

  /* 1 sending */

  const moment = () => performance.timeOrigin + performance.now();
  const keep = (value) => { try { sessionStorage.setItem(KEY, value); } catch { /* then nothing is told */ } };

  function take() {
    try {
      const sent = Number(sessionStorage.getItem(KEY));
      sessionStorage.removeItem(KEY);
      return sent;
    } catch { return 0; }
  }

  document.addEventListener('submit', ({ target }) => {
    // What continues an answer has its first text already.
    if (target.matches('#composer, .message form:not([action$="/continue/"])')) keep(moment());
  }, true);

  /* 2 painting */

  const thread = find('#thread');
  if (!thread || !navigator.sendBeacon) return;
  const known = new WeakSet(); // the streams that were seen
  let awaited = null;

  /** A stream that begins right after something was sent is the answer to it. */
  function look() {
    for (const stream of thread.querySelectorAll('.stream')) {
      if (known.has(stream)) continue;
      known.add(stream);
      const sent = take();
      // A page in the background paints nothing; what was sent long ago has nothing to do with it.
      if (!sent || moment() - sent > 120000 || document.hidden) continue;
      const url = new URL('painted', new URL(stream.dataset.progress, location.href)); // beside the address of its progress
      awaited = { url, message: stream.closest('.message'), sent };
    }
    if (awaited && shown(awaited.message)) {
      const { url, sent } = awaited;
      awaited = null;
      // The frame after the next one begins when this one is on the screen.
      requestAnimationFrame(() => requestAnimationFrame(() => tell(url, moment() - sent)));
    }
  }

  const shown = (message) => [...message.querySelectorAll('.body, .reasoning .prose')].some((part) => part.textContent.trim());

  /* 3 telling */

  function tell(url, milliseconds) {
    if (document.hidden) return;
    const body = new FormData();
    body.append('csrfmiddlewaretoken', find('#composer [name=csrfmiddlewaretoken]').value);
    body.append('ms', Math.round(milliseconds));
    navigator.sendBeacon(url, body);
  }

  new MutationObserver(look).observe(thread, { childList: true, subtree: true, characterData: true });
  look();
})();
