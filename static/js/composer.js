/* The composer's script: files, the model's window, the settings beside the conversation.
 *
 * Contents
 *   1  helpers
 *   2  files    picked, pasted or dropped; uploaded at once, with progress; sent with the next message
 *   3  window   how full the model's window gets with what is being typed
 *   4  panel    the settings, which without a script are a page
 *
 * Without it files go with the form and the settings are pages. It writes text and attributes only, never HTML.
 */
(() => {
  'use strict';

  /* 1 helpers */

  const find = (selector, from = document) => from.querySelector(selector);
  const on = (type, handler, options) => document.addEventListener(type, handler, options);
  const composer = find('#composer');
  if (!composer) return;
  const text = find('#text');
  const chips = find('#chips');
  const pick = find('#pick');
  const words = find('#words').dataset;
  const hint = (sentence) => { find('#composer-hint').textContent = sentence; };
  const say = (sentence) => { find('#status').textContent = sentence; };
  const model = () => find('#model')?.selectedOptions[0]?.dataset ?? {};
  const sees = () => 'sees' in model();
  const fill = (sentence, name) => sentence.replace('{name}', name);

  /* 2 files */

  const waiting = new Set(); // the requests that run
  let sendWhenDone = false;
  let submitter = null;

  function changed() {
    text.required = !chips.children.length;
    measure();
  }

  function newChip(name, isImage) {
    const chip = find('#chip').content.firstElementChild.cloneNode(true);
    find('.chip-name', chip).textContent = name;
    const button = find('.chip-remove', chip);
    button.setAttribute('aria-label', fill(words.remove, name));
    if (isImage) chip.classList.add('image');
    chips.append(chip);
    return chip;
  }

  /** Show an uploaded file, as the server describes it, and let it go with the next message. */
  function settle(chip, file) {
    const input = document.createElement('input');
    Object.assign(input, { type: 'hidden', name: 'attachment', value: file.id });
    input.dataset.tokens = file.tokens;
    if (file.image) {
      input.dataset.image = '';
      const image = document.createElement('img');
      Object.assign(image, { src: file.url, alt: '', width: 40, height: 40 });
      find('.icon', chip)?.replaceWith(image);
    }
    chip.append(input);
    chip.classList.toggle('image', file.image);
    find('.chip-name', chip).textContent = file.name;
    find('.chip-note', chip).textContent = file.note;
    find('.chip-progress', chip).hidden = true;
    find('.chip-remove', chip).setAttribute('aria-label', fill(words.remove, file.name));
    find('.chip-remove', chip).formAction = `${file.url}remove/`;
    changed();
  }

  function upload(file) {
    const request = new XMLHttpRequest();
    const chip = newChip(file.name, false);
    const progress = find('.chip-progress', chip);
    const form = new FormData();
    form.append('files', file);
    progress.hidden = false;
    find('.chip-note', chip).textContent = words.uploading;
    chip.request = request;
    waiting.add(request);
    request.upload.onprogress = (event) => { if (event.lengthComputable) progress.value = 100 * event.loaded / event.total; };
    request.onloadend = () => {
      waiting.delete(request);
      let answer = null;
      try { answer = JSON.parse(request.responseText); } catch { /* no answer of ours */ }
      if (answer?.files?.length) {
        settle(chip, answer.files[0]);
        say(fill(words.added, answer.files[0].name));
      } else {
        if (chip.isConnected) failed(answer?.error || fill(words.uploadFailed, file.name));
        chip.remove();
      }
      changed();
      if (!waiting.size && sendWhenDone) {
        sendWhenDone = false;
        if (chips.children.length || text.value.trim()) composer.requestSubmit(submitter?.isConnected ? submitter : null);
      }
    };
    request.open('POST', composer.dataset.upload);
    request.setRequestHeader('X-CSRFToken', find('[name=csrfmiddlewaretoken]', composer).value);
    request.send(form);
    changed();
  }

  function failed(sentence) {
    sendWhenDone = false; // a message must not go without a file that belongs to it
    hint(sentence);
  }

  function add(files) {
    hint('');
    for (const file of files) {
      if (chips.children.length >= Number(composer.dataset.files)) {
        hint(words.tooManyFiles.replace('{count}', composer.dataset.files));
        break;
      }
      if (file.size > Number(composer.dataset.bytes)) hint(fill(words.tooLarge, file.name));
      else if (/^image\/(png|jpeg|gif|webp)$/.test(file.type) && !sees()) hint(words.unseen);
      else upload(file);
    }
    find('#attach-menu')?.hidePopover?.();
    text.focus({ preventScroll: true });
  }

  function remove(chip) {
    const input = find('input', chip);
    chip.request?.abort();
    const next = chip.nextElementSibling ?? chip.previousElementSibling;
    chip.remove();
    (next ? find('.chip-remove', next) : text).focus();
    if (input) {
      const url = find('.chip-remove', chip).formAction;
      const headers = { 'X-CSRFToken': find('[name=csrfmiddlewaretoken]', composer).value };
      fetch(url, { method: 'POST', headers, redirect: 'manual' }).catch(() => {});
    }
    changed();
  }

  pick?.addEventListener('change', () => {
    const files = [...pick.files];
    pick.value = ''; // they are uploaded now, and must not go with the form again
    add(files);
  });

  on('click', (event) => {
    const button = event.target.closest('.chip-remove');
    if (!button) return;
    event.preventDefault(); // without this script it is a form's button
    remove(button.closest('.chip'));
  });

  if (pick) {
    text.addEventListener('paste', (event) => {
      const files = [...event.clipboardData.files];
      if (!files.length || event.clipboardData.types.includes('text/plain')) return; // a text wins over its picture
      event.preventDefault();
      add(files);
    });
    const carries = (event) => event.dataTransfer?.types.includes('Files');
    on('dragover', (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      composer.classList.add('dropping');
    });
    on('dragleave', (event) => { if (!event.relatedTarget) composer.classList.remove('dropping'); });
    on('drop', (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      composer.classList.remove('dropping');
      add([...event.dataTransfer.files]);
    });
  }

  // Before htmx sees it: a message waits for its files.
  on('submit', (event) => {
    if (event.target !== composer || !waiting.size) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    sendWhenDone = true;
    submitter = event.submitter;
    say(words.uploading);
  }, true);

  // stillwater.js has taken away what was sent.
  composer.addEventListener('taken', () => {
    changed();
    placeLine(true);
  });

  /* 3 window */

  const encoder = new TextEncoder();
  let measured = 0;

  /** Tell how full the window gets with what is typed and attached. */
  function measure() {
    const meter = find('#window');
    if (!meter) return;
    const { used, bytes, near } = meter.dataset;
    const window = Number(model().window ?? meter.dataset.window);
    const room = window - (Number(meter.dataset.window) - Number(meter.dataset.room));
    const files = [...chips.querySelectorAll('input')].reduce((sum, input) => sum + Number(input.dataset.tokens ?? 0), 0);
    const total = Number(used) + Math.ceil(encoder.encode(text.value).length / Number(bytes)) + files;
    const percent = Math.min(100, Math.round(100 * total / window));
    const format = new Intl.NumberFormat(document.documentElement.lang);
    meter.classList.toggle('full', total > room);
    meter.classList.toggle('near', total <= room && percent >= Number(near));
    find('.ring-used', meter).setAttribute('stroke-dasharray', `${percent} 100`);
    find('.percent', meter).textContent = `${percent} %`;
    find('.window-button', meter).setAttribute('aria-label', words.context.replace('{percent}', `${percent} %`));
    find('.window-used', meter).textContent = format.format(total);
    find('.window-left', meter).textContent = format.format(Math.max(0, window - total));
  }

  /** Show from where on messages are sent: at once when that is out of view, else with the next message. */
  function placeLine(anyway = false) {
    const message = document.getElementById(find('#window')?.dataset.begins ?? '');
    let line = find('#window-line');
    if (!message || message.contains(line)) return;
    if (!anyway && message.getBoundingClientRect().bottom > 0) return;
    line ??= Object.assign(document.createElement('p'), { id: 'window-line', className: 'window-line' });
    const span = find('span', line) ?? line.appendChild(document.createElement('span'));
    span.textContent = words.windowLine;
    message.prepend(line);
  }

  text.addEventListener('input', () => {
    cancelAnimationFrame(measured);
    measured = requestAnimationFrame(measure);
  });

  on('change', ({ target }) => {
    if (target.id !== 'model') return;
    find('#attach-menu')?.classList.toggle('sees', sees());
    if (!sees() && find('.chip input[data-image]')) hint(words.unseen);
    else hint('');
    measure();
  });

  /* 4 panel */

  const panel = find('#panel');

  on('htmx:after:swap', ({ detail: { ctx } }) => {
    if (ctx?.sourceElement?.id === 'settings-link' && panel && !panel.open) panel.showModal();
    measure();
    placeLine();
  });
  let pressed = null; // what is selected in a field may end outside of the panel

  on('pointerdown', ({ target }) => { pressed = target; });
  panel?.addEventListener('click', (event) => { if (event.target === panel && pressed === panel) panel.close(); });

  /** What is said to the composer while the panel lies over it is said in the panel. */
  function sayInPanel({ type, defaultPrevented, detail: { ctx } }) {
    if (!panel?.open || !panel.contains(ctx?.sourceElement ?? null)) return;
    const failed = type === 'htmx:error' || defaultPrevented;
    find('#panel-hint').textContent = failed ? find('#composer-hint').textContent : '';
  }

  on('htmx:after:request', sayInPanel);
  on('htmx:error', sayInPanel);
  panel?.addEventListener('close', () => find('#settings-link')?.focus());

  changed();
})();
