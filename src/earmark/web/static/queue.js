// Songs on their way: two are heard at a time, the others wait for their turn.

const AT_ONCE = 2;

export class Queue {
  // listen(file, onProgress): as api.js has it; onChange(entry): its state has changed;
  // onHeard(entry, result); onLess(): there is one song less to go; onToken(): asks for a token, and
  // says whether one was given
  constructor({ listen, onChange, onHeard, onLess, onToken }) {
    Object.assign(this, { listen, onChange, onHeard, onLess, onToken });
    this.waiting = [];
    this.later = new Map(); // entry to its timer, where the server was busy
    this.underWay = new Map(); // entry to its cancel function
    this.token = null; // the question for one, while it is open
  }

  get length() {
    return this.waiting.length + this.later.size + this.underWay.size;
  }

  // entry: { file, name, state, done, message }
  add(entry) {
    this.put(entry, "waiting");
    this.waiting.push(entry);
    this.next();
  }

  // Calls all off.
  stop() {
    const entries = [...this.waiting, ...this.later.keys(), ...this.underWay.keys()];
    this.waiting = [];
    for (const timer of this.later.values()) clearTimeout(timer);
    this.later.clear();
    for (const cancel of this.underWay.values()) cancel();
    this.underWay.clear();
    for (const entry of entries) this.put(entry, "stopped");
  }

  remove(entry) {
    this.waiting = this.waiting.filter((one) => one !== entry);
    clearTimeout(this.later.get(entry));
    this.later.delete(entry);
    this.underWay.get(entry)?.();
    this.underWay.delete(entry);
    this.next();
  }

  put(entry, state, done = 0, message = "") {
    Object.assign(entry, { state, done, message });
    this.onChange(entry);
  }

  next() {
    while (this.waiting.length && this.underWay.size < AT_ONCE && !this.token) {
      this.hear(this.waiting.shift());
    }
  }

  async hear(entry) {
    const mine = this.listen(entry.file, (state, done) => this.put(entry, state, done));
    const isMine = () => this.underWay.get(entry) === mine.cancel;
    this.underWay.set(entry, mine.cancel);
    this.put(entry, "sending");
    try {
      const result = await mine.result;
      if (isMine()) await this.onHeard(entry, result);
    } catch (error) {
      if (!isMine() || error.name === "AbortError") return;
      if (error.status === undefined) throw error;
      this.underWay.delete(entry);
      await this.refused(entry, error);
    } finally {
      if (isMine()) this.underWay.delete(entry);
      this.next();
      this.onLess();
    }
  }

  async refused(entry, error) {
    if (error.status === 401) {
      this.token ??= this.onToken();
      this.put(entry, "waiting");
      const given = await this.token;
      this.token = null;
      if (given) this.waiting.unshift(entry);
      else this.put(entry, "failed", 0, error.message);
    } else if (error.retryAfter) {
      this.put(entry, "waiting", 0, "The server is busy");
      this.later.set(entry, setTimeout(() => {
        this.later.delete(entry);
        this.waiting.unshift(entry);
        this.next();
      }, 1000 * error.retryAfter));
    } else {
      this.put(entry, "failed", 0, error.message);
    }
  }
}
