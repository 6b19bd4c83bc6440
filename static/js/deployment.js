/* Asks the deployment from the browser's side, and says what to mend. Used by the page for operators only.
 *
 * What it says stands in templates/conversations/_deployment_words.html, in the language of the page.
 */
(() => {
  'use strict';

  const page = document.querySelector('[data-deployment]');
  const words = document.querySelector('#deployment-words').dataset;
  const plural = new Intl.PluralRules(document.documentElement.lang);
  const list = page.querySelector('ul');
  const PIECES = 8; // as many as the server drips, `data-pause` milliseconds apart
  const LATE_MS = 5000;

  /** The words of this name, with values in the place of their names in braces. */
  const word = (name, values = {}) => words[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);

  /** The words for a number of things: `name` and the plural form that the language has for `count`. */
  const counted = (name, count) => {
    const form = name + plural.select(count).replace(/^./, (letter) => letter.toUpperCase());
    return word(form in words ? form : `${name}Other`, { count });
  };

  const tell = (state, what, remedy = '') => {
    const item = document.createElement('li');
    item.className = state;
    const name = document.createElement('strong');
    name.textContent = `${words[state]} `;
    item.append(name, what, remedy && ` ${remedy}`);
    list.append(item);
  };

  const protocol = () => {
    const [navigation] = performance.getEntriesByType('navigation');
    const name = navigation?.nextHopProtocol ?? '';
    if (['h2', 'h3'].includes(name)) tell('ok', word('multiplexed', { protocol: name }));
    else tell('note', word(name ? 'protocol' : 'unknownProtocol', { protocol: name }), words.protocolRemedy);
  };

  const clock = () => {
    const off = Math.round((Date.now() - Number(page.dataset.now)) / 1000);
    if (Math.abs(off) * 1000 < LATE_MS) tell('ok', words.clock);
    else tell('note', counted(off > 0 ? 'behind' : 'ahead', Math.abs(off)), words.clockRemedy);
  };

  const buffering = async () => {
    const response = await fetch(page.dataset.drip, { headers: { Accept: 'text/event-stream' } });
    const reader = response.body.getReader();
    const arrivals = [];
    for (let { done } = await reader.read(); !done; { done } = await reader.read()) arrivals.push(performance.now());
    const spread = arrivals.at(-1) - arrivals[0];
    const expected = (PIECES - 1) * Number(page.dataset.pause);
    if (spread > expected / 2) tell('ok', words.flowing);
    else tell('bad', words.heldBack, words.heldBackRemedy);
  };

  const parts = async () => {
    const report = await (await fetch(page.dataset.ready)).json();
    for (const [name, part] of Object.entries(report.parts)) {
      if (part.ok) tell('ok', word(part.seen ? 'workers' : 'part', { name, ...part }));
      else tell('bad', word('missing', { name, error: part.error ?? words.noneSeen }), `${report.missing[name]} ${report.mend[name]}`);
    }
  };

  const failed = (what) => () => tell('bad', word('notAsked', { what }), words.notAskedRemedy);

  protocol();
  clock();
  Promise.all([buffering().catch(failed(words.aStream)), parts().catch(failed('/readyz'))]).then(() => {
    page.querySelector('[role="status"]').textContent = words.finished;
  });
})();
