/* Tells the server whether a page of a temporary conversation is open: the conversation, or what is shown about it. */
(() => {
  'use strict';

  const form = document.querySelector('#presence');

  function report(here) {
    const body = new FormData(form);
    body.set('here', here);
    navigator.sendBeacon(form.action, body);
  }

  addEventListener('pagehide', () => report('no'));
  addEventListener('pageshow', () => report('yes')); // the page of it that was left for this one has said "no"
  setInterval(() => report('yes'), 30000); // another tab may have closed the same conversation
})();
