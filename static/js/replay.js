/* Plays an answer again. Without this file the page works by its links and its form.
 *
 * Contents
 *   1  frames     what stood there at a moment: rendered by the server, one request at a time
 *   2  moment     the slider, the clock, events that are passed
 *   3  playing    at the pace the answer was written in, or a multiple of it
 *   4  keyboard   Space or K: play; P and N: previous and next event; on the slider the arrows
 */
(() => {
  'use strict';

  const element = (id) => document.getElementById(id);
  const replay = element('replay');
  const [slider, clock, play, speed, said] = ['at', 'time', 'play', 'speed', 'said'].map(element);
  const events = [...document.querySelectorAll('#events a')].map((link) => ({ link, at: Number(link.dataset.at) }));
  const length = Number(replay.dataset.length);
  const step = Math.max(1, Math.min(1000, Math.round(length / 100)));
  let at = Number(slider.value);
  let playing = false;
  let lastTick = 0;

  /* 1 frames */

  let shown = at;
  let asking = false;

  async function show() {
    if (asking) return;
    asking = true;
    while (shown !== Math.round(at)) {
      const wanted = Math.round(at);
      try {
        const response = await fetch(`?at=${wanted}&frame=1`, { headers: { Accept: 'text/html' } });
        if (!response.ok || response.redirected) throw new Error(response.status);
        element('frame').innerHTML = await response.text(); // sanitised, as everything from the server's renderer
        shown = wanted;
      } catch {
        pause();
        said.textContent = clock.value;
        break;
      }
    }
    asking = false;
  }

  /* 2 moment */

  const words = (ms) => `${(ms / 1000).toFixed(1)} s`;

  function move(ms, { tell = false } = {}) {
    const before = at;
    at = Math.max(0, Math.min(length, ms));
    slider.value = Math.round(at);
    clock.value = words(at);
    slider.setAttribute('aria-valuetext', words(at));
    const passed = events.filter((event) => event.at <= at).at(-1);
    for (const { link } of events) link.toggleAttribute('aria-current', link === passed?.link);
    element('previous').hidden = !events.some((event) => event.at < at);
    element('next').hidden = !events.some((event) => event.at > at);
    if (passed && (tell || passed.at > before)) said.textContent = `${words(passed.at)}: ${passed.link.querySelector('.label').textContent}`;
    show();
  }

  function toEvent(direction) {
    const others = direction > 0 ? events.filter((event) => event.at > at) : events.filter((event) => event.at < at).reverse();
    if (others.length) move(others[0].at, { tell: true });
  }

  slider.addEventListener('input', () => move(Number(slider.value)));
  // A step of the slider is a millisecond, so that it stands where the moment is; a key goes further.
  slider.addEventListener('keydown', (event) => {
    const forward = getComputedStyle(slider).direction === 'rtl' ? -1 : 1;
    const steps = { ArrowRight: forward, ArrowLeft: -forward, ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    move(at + steps[event.key] * step);
  });
  element('events').addEventListener('click', (event) => {
    const link = event.target.closest('a');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    move(Number(link.dataset.at), { tell: true });
  });
  for (const [id, direction] of [['previous', -1], ['next', 1]]) {
    element(id).addEventListener('click', (event) => {
      event.preventDefault();
      toEvent(direction);
    });
  }
  element('controls').addEventListener('submit', (event) => event.preventDefault());

  /* 3 playing */

  function tick(now) {
    if (!playing) return;
    move(at + (now - lastTick) * Number(speed.value));
    lastTick = now;
    if (at >= length) pause();
    else requestAnimationFrame(tick);
  }

  function start() {
    if (at >= length) move(0);
    playing = true;
    play.textContent = replay.dataset.pause;
    lastTick = performance.now();
    requestAnimationFrame(tick);
  }

  function pause() {
    playing = false;
    play.textContent = replay.dataset.play;
    history.replaceState(null, '', `?at=${Math.round(at)}`);
  }

  const toggle = () => (playing ? pause() : start());
  play.addEventListener('click', toggle);

  /* 4 keyboard */

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (target.matches('select, textarea, input:not([type="range"])')) return;
    const onControl = target.matches('button, a, summary');
    const key = event.key.toLowerCase();
    if (key === 'k' || (key === ' ' && !onControl)) toggle();
    else if (key === 'n') toEvent(1);
    else if (key === 'p') toEvent(-1);
    else return;
    event.preventDefault();
  });

  for (const id of ['play', 'speed-label']) element(id).hidden = false;
  element('go').hidden = true;
})();
