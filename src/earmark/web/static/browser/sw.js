// The service worker: keeps all files of this version, so that the page works without a network.
// `earmark page` writes VERSION and FILES before this.

const MINE = `earmark ${registration.scope} `; // a host may have several pages
const NAME = MINE + VERSION;

addEventListener("install", (event) => event.waitUntil(caches.open(NAME).then((cache) =>
  cache.addAll(FILES.map((file) => new Request(file, { cache: "no-cache" }))))));

// A page that is open keeps its version: the next one waits until it is closed.
addEventListener("activate", (event) => event.waitUntil((async () => {
  for (const name of await caches.keys()) {
    if (name.startsWith(MINE) && name !== NAME) await caches.delete(name);
  }
  await clients.claim();
})()));

addEventListener("fetch", (event) => {
  if (event.request.method !== "GET" || !event.request.url.startsWith(registration.scope)) return;
  event.respondWith((async () => {
    const cache = await caches.open(NAME);
    return await cache.match(event.request, { ignoreSearch: true }) ?? fetch(event.request);
  })());
});
