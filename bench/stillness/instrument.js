/* Watches the body of the answer that streams, and counts whatever is taken back. Injected before the page's scripts.

   Everything is compared by the place of a character in the visible text, not by node: a renderer that makes all nodes
   anew and puts the same text there has taken nothing back, and one that keeps its nodes may still have moved them. */
(() => {
  'use strict';

  const BLOCKS = 'p, li, h1, h2, h3, h4, h5, h6, pre, blockquote, tr, td, th, figure, table, hr, ul, ol, .footnote, .math-block';
  const INLINE = new Set(['STRONG', 'EM', 'CODE', 'A', 'S', 'SUP', 'MATH', 'IMG', 'B', 'I', 'DEL']);
  const still = {
    shift: 0, takenBack: 0, blockChanged: 0, styleChanged: 0, recoloured: 0, moved: 0, wrapped: 0, shrank: 0,
    created: 0, frames: 0, stream: [], body: null, examples: [],
  };
  window.still = still;
  let before = { text: '', blocks: [], styles: [], colours: [], boxes: [], words: new Map(), parts: [] };

  const note = (what, detail) => { if (still.examples.length < 40) still.examples.push(`${what}: ${detail}`); };

  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (!still.body) continue;
      still.shift += entry.value;
      note('shift', `${entry.value.toFixed(4)} ${entry.sources.map(({ node }) => node?.nodeName + '.' + (node?.className ?? '')).join(' ')}`);
    }
  }).observe({ type: 'layout-shift', buffered: false });

  /** What stands around a character, as words to compare. */
  const around = (node) => {
    const blocks = [], styles = [];
    let colour = '';
    for (let element = node.parentElement; element && element !== still.body; element = element.parentElement) {
      if (element.matches(BLOCKS)) blocks.push(element.tagName);
      else if (INLINE.has(element.tagName)) styles.push(element.tagName);
      else if (element.tagName === 'SPAN' && element.closest('pre')) colour ||= element.className;
    }
    return [blocks.join('<'), styles.join('<'), colour];
  };

  const read = () => {
    const now = { text: '', blocks: [], styles: [], colours: [], boxes: [], words: new Map(), parts: [] };
    now.parts = [...still.body.children].map((part) => part.textContent);
    const walker = document.createTreeWalker(still.body, NodeFilter.SHOW_TEXT);
    const origin = still.body.getBoundingClientRect();
    const nodes = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.parentElement.closest('figcaption')) continue;
      const [block, style, colour] = around(node);
      nodes.push([node, now.text.length]);
      now.text += node.data;
      for (let n = 0; n < node.data.length; n += 1) {
        now.blocks.push(block); now.styles.push(style); now.colours.push(colour);
      }
    }
    for (const element of still.body.querySelectorAll(BLOCKS)) {
      const box = element.getBoundingClientRect();
      now.boxes.push([box.top - origin.top, box.left - origin.left, box.height, element.tagName]);
    }
    const range = document.createRange();
    for (const [node, begin] of nodes.slice(-40)) {
      for (const word of node.data.matchAll(/\S+/g)) {
        range.setStart(node, word.index);
        range.setEnd(node, word.index + word[0].length);
        const box = range.getClientRects()[0];
        if (box) now.words.set(begin + word.index, [word[0], box.top - origin.top]);
      }
    }
    return now;
  };

  /** How many characters of a text are not in another, in their order: its length without their longest common part. */
  const lost = (old, fresh) => {
    if (old === fresh || fresh.startsWith(old)) return 0;
    let row = new Uint16Array(fresh.length + 1);
    for (const character of old) {
      const next = new Uint16Array(fresh.length + 1);
      for (let n = 0; n < fresh.length; n += 1) {
        next[n + 1] = character === fresh[n] ? row[n] + 1 : Math.max(row[n + 1], next[n]);
      }
      row = next;
    }
    return old.length - row[fresh.length];
  };

  const compare = (now) => {
    let same = 0;
    const most = Math.min(before.text.length, now.text.length);
    while (same < most && before.text[same] === now.text[same]) same += 1;
    if (same < before.text.length) {
      still.takenBack += before.parts.reduce((sum, part, n) => sum + lost(part, now.parts[n] ?? ''), 0);
      note('taken back', JSON.stringify(before.text.slice(same, same + 40)));
    }
    for (let n = 0; n < same; n += 1) {
      if (before.text[n].trim() === '') continue;
      if (before.blocks[n] !== now.blocks[n]) still.blockChanged += 1;
      if (before.styles[n] !== now.styles[n]) still.styleChanged += 1;
      if (before.colours[n] !== now.colours[n]) still.recoloured += 1;
    }
    before.boxes.forEach(([top, left, height, tag], n) => {
      const box = now.boxes[n];
      if (!box) return;
      if (Math.abs(box[0] - top) > 1 || Math.abs(box[1] - left) > 1) { still.moved += 1; note('moved', `${tag} ${top} ${box[0]}`); }
      if (box[2] < height - 1) { still.shrank += 1; note('shrank', `${tag} ${height} ${box[2]}`); }
    });
    for (const [place, [word, top]] of now.words) {
      const old = before.words.get(place);
      if (old && place < same && Math.abs(old[1] - top) > 2) { still.wrapped += 1; note('wrapped', `${old[0]} to ${word}`); }
    }
  };

  const count = (node) => {
    let nodes = 1;
    const walker = document.createTreeWalker(node);
    while (walker.nextNode()) nodes += 1;
    return nodes;
  };

  /** Begin with an element; `quiet` counts nothing but the stream, for measuring the page itself. */
  still.watch = (body, quiet) => {
    still.body = body;
    if (quiet) return;
    new MutationObserver((records) => {
      for (const record of records) for (const node of record.addedNodes) still.created += count(node);
      still.frames += 1;
      const now = read();
      compare(now);
      before = now;
    }).observe(body, { childList: true, subtree: true, characterData: true });
  };
  still.report = () => ({
    ...still, body: null, characters: before.text.length, nodes: count(still.body) - 1, text: still.body.innerText,
    html: still.body.innerHTML,
  });

  /* Keep what the stream brings. */
  const fetched = window.fetch;
  window.fetch = async (...request) => {
    const response = await fetched(...request);
    if (String(request[0]?.url ?? request[0]).includes('/stream?')) {
      const reader = response.clone().body.pipeThrough(new TextDecoderStream()).getReader();
      const keep = ({ value, done }) => {
        if (done) return null;
        still.stream.push(value);
        return reader.read().then(keep, () => null);
      };
      reader.read().then(keep, () => null);
    }
    return response;
  };
})();
