/* Stillwater's service worker: shows a page of its own when no other can be had, and keeps static files.
 *
 * It keeps no page, and it lets streams, and everything that is sent, alone. Files it keeps are those whose name holds
 * the hash of their content. A new text of this file, thus a new version, replaces the old one and what it had kept.
 */
'use strict';

const VERSION = {{ version|safe }};
const OFFLINE = {{ offline|safe }};
const STATIC = {{ static|safe }};
const FILES = {{ files|safe }};
const HASHED = /\.[0-9a-f]{12}\.\w+$/;
const PREFIX = 'stillwater-';
const CACHE = PREFIX + VERSION;

addEventListener('install', (event) => {
  skipWaiting();
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll([OFFLINE, ...FILES])));
});

addEventListener('activate', (event) => event.waitUntil(replace()));

async function replace() {
  const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await registration.navigationPreload?.enable(); // the page is asked for while this script starts
}

addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== location.origin) return;
  if (request.mode === 'navigate') event.respondWith(page(event));
  else if (pathname.startsWith(STATIC) && HASHED.test(pathname)) event.respondWith(file(request));
});

async function page(event) {
  try {
    return (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    return (await caches.match(OFFLINE)) ?? Response.error();
  }
}

async function file(request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request, { ignoreVary: true });
  if (kept) return kept;
  const response = await fetch(request);
  if (response.ok && response.type === 'basic') await cache.put(request, response.clone());
  return response;
}
