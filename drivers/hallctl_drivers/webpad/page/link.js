// The connection to the daemon, and the answers that it has not thanked for yet.
//
// An answer lives in localStorage from the tap until the daemon says that it is on disk. Until then it is said again:
// after a while, after every reconnect, after the page was loaded again.

const VERSION = 1;
const BACK_OFF_MS = [100, 300, 700, 1500, 3000];
const REPEAT_MS = [2000, 4000, 8000, 15000];
const SILENCE_MS = 25000; // the daemon says something at least every ten seconds
const REPLACED = 4001;
const REPLACED_MS = 60000;
const KEPT = 50; // answers; a tablet with so many has not reached its box for a day

export class Link {
  // on: {state, thanks, refused, connection}, all functions.
  constructor(terminal, on) {
    this.on = on;
    this.terminal = terminal;
    this.key = `hallctl-pad-${terminal}-answers`;
    this.kept = this.#read();
    this.failures = 0;
    this.repeats = 0;
    this.build = null;
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws/${encodeURIComponent(this.terminal)}`);
    this.socket = socket;
    socket.onopen = () => this.#watch();
    socket.onmessage = (event) => this.#hear(event.data);
    socket.onclose = (event) => this.#closed(event.code);
  }

  get waiting() {
    return this.kept.length;
  }

  // Whether this page has an answer to the question that is not thanked for yet.
  keeps(request) {
    return this.kept.some((one) => one.request === request);
  }

  rate(score, request, ticket) {
    this.kept = [...this.kept, { v: VERSION, rate: score, answer: uuid(), request, ticket }].slice(-KEPT);
    this.#write();
    this.repeats = 0;
    this.#say();
  }

  #hear(text) {
    this.#watch();
    const said = JSON.parse(text);
    if (said.thanks !== undefined) {
      this.on.thanks(this.#forget(said.thanks));
    } else if (said.refused !== undefined) {
      this.#forget(said.refused);
      this.on.refused();
    } else if (said.state !== undefined) {
      this.#greeted(said);
    }
  }

  #greeted(state) {
    if (state.v !== VERSION || (this.build !== null && state.page.build !== this.build)) {
      location.reload(); // the daemon is another one than the page is from; answers stay in localStorage
      return;
    }
    this.build = state.page.build;
    const fresh = !this.greeted;
    this.greeted = true;
    this.failures = 0;
    this.on.connection("open");
    this.on.state(state);
    if (fresh) {
      this.#say();
    }
  }

  // Say every answer that is kept; and again later, unless thanks have come meanwhile.
  #say() {
    clearTimeout(this.timer);
    if (!this.kept.length || !this.greeted) {
      return;
    }
    for (const one of this.kept) {
      this.socket.send(JSON.stringify(one));
    }
    const wait = REPEAT_MS[Math.min(this.repeats, REPEAT_MS.length - 1)];
    this.repeats += 1;
    this.timer = setTimeout(() => this.#say(), wait);
  }

  #watch() {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.#hangUp(), SILENCE_MS);
  }

  // A dead box never closes its sockets: close() alone would wait for it.
  #hangUp() {
    const socket = this.socket;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
    this.#closed(0);
  }

  #closed(code) {
    clearTimeout(this.watchdog);
    clearTimeout(this.timer);
    this.greeted = false;
    this.on.connection(code === REPLACED ? "replaced" : "lost");
    const wait = code === REPLACED ? REPLACED_MS : BACK_OFF_MS[Math.min(this.failures, BACK_OFF_MS.length - 1)];
    this.failures += 1;
    setTimeout(() => this.open(), wait * (0.8 + 0.2 * Math.random()));
  }

  // Gives what was kept under this answer, if it was (thanks may come twice).
  #forget(answer) {
    const found = this.kept.find((one) => one.answer === answer);
    this.kept = this.kept.filter((one) => one.answer !== answer);
    this.#write();
    if (!this.kept.length) {
      clearTimeout(this.timer);
    }
    return found;
  }

  #read() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.key));
      return Array.isArray(kept) ? kept.slice(-KEPT) : [];
    } catch {
      return [];
    }
  }

  #write() {
    try {
      localStorage.setItem(this.key, JSON.stringify(this.kept));
    } catch {
      // no storage (private window, quota): then the answer lives as long as the page
    }
  }
}

// crypto.randomUUID exists on secure origins only, and a box in a hall is http.
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
