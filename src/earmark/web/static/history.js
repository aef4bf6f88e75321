// What was heard, kept in this browser (IndexedDB) and nowhere else; the sound is not kept.

const MOST = 200; // songs; the oldest go first

// The database, or null where the browser keeps nothing (a private window).
const opened = new Promise((resolve) => {
  try {
    const request = indexedDB.open("earmark", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("lines", { keyPath: "key" });
      request.result.createObjectStore("answers");
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => resolve(null);
  } catch {
    resolve(null);
  }
});

// All lines, newest first: { key, name, added, line, headline }; line as `earmark tag --json` has it.
export async function lines() {
  const found = await work("readonly", (store) => store("lines").getAll());
  return (found ?? []).sort((a, b) => b.added - a.added);
}

// { result, card } of a song, or undefined.
export const answer = (key) => work("readonly", (store) => store("answers").get(key));

// Whether all of it was kept.
export async function keep(line, result, card) {
  const old = (await lines()).filter((one) => one.key !== line.key).slice(MOST - 1);
  const kept = await work("readwrite", (store) => {
    for (const one of old) {
      store("lines").delete(one.key);
      store("answers").delete(one.key);
    }
    store("answers").put({ result, card }, line.key);
    return store("lines").put(line);
  });
  return kept !== undefined;
}

export const forget = (key) => work("readwrite", (store) => {
  store("answers").delete(key);
  return store("lines").delete(key);
});

export const forgetAll = () => work("readwrite", (store) => {
  store("answers").clear();
  return store("lines").clear();
});

// Resolves with the request's result when all is written; undefined where nothing can be kept.
async function work(mode, ask) {
  const database = await opened;
  if (!database) return undefined;
  return new Promise((resolve) => {
    const transaction = database.transaction(["lines", "answers"], mode);
    const request = ask((name) => transaction.objectStore(name));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => resolve(undefined); // the disk is full, say
  });
}
