// What the citizen sees. The daemon says what is true (link.js); this file draws it and hands taps on.
//
// Views: idle (who serves), asking (five faces and a ring), open (faces without a question), sending, thanks, refused.

import { Link } from "/link.js";
import { TEXTS } from "/texts.js";

const SENDING_MS = 20000; // then the next citizen needs the page; the answer goes on being sent
const OFFLINE_MS = 1000; // a short interruption is nobody's business
const RING = 2 * Math.PI * 26;

const $ = (id) => document.getElementById(id);
const terminal = decodeURIComponent(location.pathname.split("/").pop());
const languageKey = `hallctl-pad-${terminal}-language`;

let state = { state: "idle", staff: null, page: { title: "", languages: ["zh", "en"], thanks_s: 3, unasked: false } };
let deadline = 0;
let overlay = null; // {view, until}
let rated = null; // the question that was answered last, until the daemon has closed it
let connection = "open";
let lostAt = 0;
let chosen = stored(languageKey);

const link = new Link(terminal, {
  state: (said) => {
    const isNew = said.state === "asking" && said.request !== state.request;
    state = said;
    deadline = performance.now() + (said.seconds || 0) * 1000;
    if (isNew && !answered(said.request)) {
      overlay = null;
    }
    draw();
  },
  thanks: (answer) => {
    if (answer && answer.request) {
      rated = answer.request;
    }
    if (answer && view() !== "asking") {
      show("thanks", state.page.thanks_s * 1000);
    }
  },
  refused: () => show("refused", state.page.thanks_s * 1000),
  connection: (now) => {
    if (connection === "open" && now !== "open") {
      lostAt = performance.now();
    }
    connection = now;
    draw();
  },
});

function answered(request) {
  return request === rated || link.keeps(request);
}

function view() {
  if (overlay !== null && performance.now() < overlay.until) {
    return overlay.view;
  }
  if (state.state === "asking" && performance.now() < deadline && !answered(state.request)) {
    return "asking";
  }
  return state.page.unasked ? "open" : "idle";
}

function language() {
  const offered = state.page.languages;
  return offered.includes(chosen) ? chosen : offered[0];
}

function show(what, forMs) {
  overlay = { view: what, until: performance.now() + forMs };
  draw();
}

function tap(score) {
  const now = view();
  if (now !== "asking" && now !== "open") {
    return;
  }
  const asked = now === "asking";
  rated = asked ? state.request : null;
  show("sending", SENDING_MS);
  link.rate(score, asked ? state.request : "", asked ? state.ticket : null);
}

// Someone's choice ends with his rating: the next citizen finds the page as it always is.
function choose(name) {
  chosen = name;
  try {
    if (name === null) {
      localStorage.removeItem(languageKey);
    } else {
      localStorage.setItem(languageKey, name);
    }
  } catch {
    // no storage: the choice lives as long as the page
  }
  draw();
}

function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function draw() {
  const now = view();
  const text = TEXTS[language()];
  const before = document.body.dataset.view;
  document.body.dataset.view = now;
  document.documentElement.lang = text.lang;
  document.title = state.page.title || text.title;
  set("title", state.page.title || text.title);
  set("toggle", text.other);
  $("toggle").hidden = state.page.languages.length < 2;
  $("toggle").lang = TEXTS[language() === "zh" ? "en" : "zh"].lang;
  drawStaff(text);
  set("welcome", text.welcome);
  set("question", text.question);
  set("ticket", state.ticket ? `${text.ticket} ${state.ticket}` : "");
  for (const button of document.querySelectorAll("#faces button")) {
    const words = text.faces[button.dataset.score];
    button.setAttribute("aria-label", words);
    button.querySelector("span").textContent = words;
    button.disabled = now !== "asking" && now !== "open";
  }
  set("words", { sending: text.sending, thanks: text.thanks, refused: text.refused }[now] || "");
  drawRing(text);
  drawBanner(text);
  if (before !== now && ["thanks", "refused", "asking"].includes(before) && ["idle", "open"].includes(now)) {
    choose(null);
  }
}

function drawStaff(text) {
  const staff = state.staff;
  $("staff").hidden = staff === null;
  if (staff === null) {
    return;
  }
  $("photo").hidden = !staff.photo;
  if (staff.photo && $("photo").getAttribute("src") !== staff.photo) {
    $("photo").src = staff.photo;
  }
  $("photo").alt = staff.name;
  set("name", staff.name);
  set("number", staff.number ? `${text.number} ${staff.number}` : "");
  const stars = staff.stars;
  set("stars", stars === null ? "" : "★".repeat(stars) + "☆".repeat(Math.max(0, 5 - stars)));
  $("stars").setAttribute("aria-label", stars === null ? "" : text.stars(stars));
}

function drawRing(text) {
  const left = Math.max(0, deadline - performance.now());
  const share = state.of ? Math.min(1, left / (state.of * 1000)) : 0;
  $("ring").setAttribute("stroke-dashoffset", String(RING * (1 - share)));
  set("seconds", String(Math.ceil(left / 1000)));
  $("countdown").setAttribute("aria-label", text.left(Math.ceil(left / 1000)));
}

function drawBanner(text) {
  const lost = connection !== "open" && performance.now() - lostAt >= OFFLINE_MS;
  const kept = link.waiting > 0 && view() !== "sending";
  const words = [];
  if (lost) {
    words.push(connection === "replaced" ? text.replaced : text.offline);
  }
  if (kept) {
    words.push(text.waiting(link.waiting));
  }
  set("banner", words.join(" "));
  $("banner").hidden = words.length === 0;
}

// Unchanged text is left alone: a screen reader would say it again.
function set(id, text) {
  if ($(id).textContent !== text) {
    $(id).textContent = text;
  }
}

for (const button of document.querySelectorAll("#faces button")) {
  button.addEventListener("click", () => tap(Number(button.dataset.score)));
}
$("toggle").addEventListener("click", () => choose(language() === "zh" ? "en" : "zh"));
$("photo").addEventListener("error", () => {
  $("photo").hidden = true;
});
document.addEventListener("contextmenu", (event) => event.preventDefault());
$("ring").setAttribute("stroke-dasharray", String(RING));
setInterval(draw, 250);

if (link.waiting > 0) {
  show("sending", SENDING_MS);
}
draw();
link.open();
