// The browser half of LiveSlider. Streamlit calls the function below at every update of `data`: handlers are assigned,
// never added, and what must last between two calls is kept in `records`. `root` stays the same until the slider is
// taken away and comes back, by a page switch or a broken connection; the visitor's last position outlives that too.
const PATIENCE_MS = 4000; // an answer this late is taken for lost (connection cut, failed run); doubles with every try
const TRIES = 5;

const records = new Map();

export default function ({ data, parentElement: root, setStateValue }) {
  const range = root.querySelector("input");
  const output = root.querySelector("output");
  const host = root.host;
  const s = records.get(data.key) ?? { sequence: 0 };
  records.set(data.key, s);

  const state = () => range.value + (s.held ? " held" : ""); // what Python should know
  const show = () => {
    s.thumb = range.value;
    output.value = data.texts[range.value];
    range.setAttribute("aria-valuetext", output.value);
    range.style.setProperty("--share", range.max > 0 ? range.value / range.max : 0);
  };

  // Sends the newest position, unless one is still on its way or Python knows it already.
  const pump = () => {
    clearTimeout(s.gapTimer);
    if (s.waiting || range.disabled || state() === s.known) return;
    const rest = s.sentAt + s.gap - performance.now(); // Python knows how many others are asking
    if (s.held && rest > 0) {
      s.gapTimer = setTimeout(s.pump, rest);
      return;
    }
    s.waiting = true;
    s.known = state();
    s.sentAt = performance.now();
    s.sequence = Math.max(Date.now(), s.sequence + 1); // grows even when the page is loaded anew
    host.dataset.sent = `${s.sequence}:${range.value}`;
    s.send("position", { index: +range.value, sequence: s.sequence, held: s.held });
    const page = location.pathname;
    s.answerTimer = setTimeout(() => {
      s.waiting = false;
      if (s.tries++ >= TRIES || location.pathname !== page) return;
      s.known = "";
      s.pump();
    }, PATIENCE_MS * 2 ** s.tries);
  };
  s.gap = data.gap; // shortest time between two values while the thumb is held
  s.send = setStateValue; // timers set by an earlier call must use what this call was given
  s.pump = pump;

  root.querySelector("label").textContent = data.label;
  root.querySelector(".reason").textContent = data.disabled ?? "";
  range.setAttribute("aria-label", data.label);
  range.max = data.texts.length - 1;
  range.disabled = data.disabled !== null;
  range.title = `Double-click or Delete: back to ${data.texts[data.home]}`;
  root.querySelector(".rail").style.setProperty("--home", range.max > 0 ? data.home / range.max : 0);

  const stop = () => {
    clearTimeout(s.gapTimer);
    clearTimeout(s.answerTimer);
  };

  if (s.root !== root) {
    stop();
    range.value = data.index;
    Object.assign(s, { root, waiting: false, tries: 0, sentAt: 0, held: data.held });
    s.known = state();
    s.held = false; // nobody can hold a new thumb: if Python believes so, `pump` below corrects it
    if (s.moves === data.moves) range.value = s.thumb; // what was still on its way is not lost
  } else if (s.waiting && data.answered === s.sequence) {
    stop();
    s.waiting = false;
    s.tries = 0;
    host.dataset.answered = data.answered;
  }
  if (!s.waiting && !s.held && state() === s.known && +range.value !== data.index) {
    range.value = data.index; // moved by Python, and nothing newer here that it has yet to hear of
    s.known = state();
  }
  s.moves = data.moves;
  show();

  const release = () => {
    s.held = false;
    s.pump();
  };
  const reset = () => {
    range.value = data.home;
    show();
    release();
  };
  range.onpointerdown = () => {
    s.held = true;
  };
  range.oninput = () => {
    show();
    s.pump();
  };
  range.onchange = range.onpointerup = range.onpointercancel = range.onblur = release;
  range.ondblclick = reset;
  range.onkeydown = (event) => {
    if (event.key === "Delete" || event.key === "Backspace") reset();
  };
  pump(); // the thumb may have moved on while the last value was being answered

  // A run whose messages get lost with the connection takes its whole fragment off the page, this slider included.
  // Asking again brings it back, so an unanswered position is still waited for when the slider is gone.
  return () => {
    if (s.root === root && !s.waiting) stop();
  };
}
