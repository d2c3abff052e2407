// Keeps the page's files, so that it works without a network once it has been loaded.

const CACHE = 'attention-nmt VERSION';
const FILES = FILE_NAMES;

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(caches.keys().then((names) => Promise.all(
    names.filter((name) => name.startsWith('attention-nmt ') && name !== CACHE)
      .map((name) => caches.delete(name)),
  )));
});

self.addEventListener('fetch', (event) => {
  if (event.request.method !== 'GET') return;
  event.respondWith(caches.match(event.request, {ignoreSearch: true}).then(
    (kept) => kept ?? fetch(event.request).then((response) => {
      // Which of the two runtimes a browser takes shows when it asks for it.
      if (response.ok && new URL(event.request.url).origin === location.origin) {
        const copy = response.clone();
        event.waitUntil(caches.open(CACHE).then((cache) => cache.put(event.request, copy)));
      }
      return response;
    }),
  ));
});
