// The browser half of LiveSlider. Streamlit calls the function below at every update of `data`, with the same `root`:
// what must last between two calls is kept in `records`, and handlers are assigned, never added.
const GAP_MS = 30; // shortest time between two values while the thumb is held
const PATIENCE_MS = 4000; // an answer this late is taken for lost (connection cut, failed run); doubles with every try
const TRIES = 5;

const records = new WeakMap();

export default function ({ data, parentElement: root, setStateValue }) {
  const range = root.querySelector("input");
  const output = root.querySelector("output");
  const host = root.host;
  const first = !records.has(root);
  const s = records.get(root) ?? { known: "", held: data.held, waiting: false, sequence: 0, sentAt: 0, tries: 0 };
  records.set(root, s);

  const state = () => range.value + (s.held ? " held" : ""); // what Python should know
  const show = () => {
    output.value = data.texts[range.value];
    range.setAttribute("aria-valuetext", output.value);
    range.style.setProperty("--share", range.max > 0 ? range.value / range.max : 0);
  };

  // Sends the newest position, unless one is still on its way or Python knows it already.
  const pump = () => {
    clearTimeout(s.gapTimer);
    if (s.waiting || range.disabled || state() === s.known) return;
    const rest = s.sentAt + GAP_MS - performance.now();
    if (s.held && rest > 0) {
      s.gapTimer = setTimeout(s.pump, rest);
      return;
    }
    s.waiting = true;
    s.known = state();
    s.sentAt = performance.now();
    s.sequence = Math.max(Date.now(), s.sequence + 1); // grows across page switches, where this record starts anew
    host.dataset.sent = `${s.sequence}:${range.value}`;
    s.send("position", { index: +range.value, sequence: s.sequence, held: s.held });
    s.answerTimer = setTimeout(() => {
      s.waiting = false;
      if (s.tries++ < TRIES) {
        s.known = "";
        s.pump();
      }
    }, PATIENCE_MS * 2 ** s.tries);
  };
  s.send = setStateValue; // timers set by an earlier call must use what this call was given
  s.pump = pump;

  root.querySelector("label").textContent = data.label;
  root.querySelector(".reason").textContent = data.disabled ?? "";
  range.setAttribute("aria-label", data.label);
  range.max = data.texts.length - 1;
  range.disabled = data.disabled !== null;
  range.title = `Double-click or Delete: back to ${data.texts[data.home]}`;
  root.querySelector(".rail").style.setProperty("--home", range.max > 0 ? data.home / range.max : 0);

  if (s.waiting && data.answered === s.sequence) {
    s.waiting = false;
    s.tries = 0;
    clearTimeout(s.answerTimer);
    host.dataset.answered = data.answered;
  }
  if (first) {
    range.value = data.index;
    s.known = state(); // a page left with the thumb held comes back as held: `pump` below then reports the release
    s.held = false;
  } else if (!s.waiting && !s.held && state() === s.known && +range.value !== data.index) {
    range.value = data.index; // moved by Python, and nothing newer here that it has yet to hear of
    s.known = state();
  }
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

  return () => {
    clearTimeout(s.gapTimer);
    clearTimeout(s.answerTimer);
  };
}
