// The browser half of prompt_box: sends what is typed, one text at a time, and never writes over a hand that types.
const states = new WeakMap();
const PAUSE_MS = 120; // between two keys of one word nobody wants an answer
const PATIENCE_MS = 8000; // an answer this late is taken for lost

export default function ({ data, parentElement: root, setTriggerValue }) {
  const state = states.get(root) ?? { open: null, sent: data.text, timer: 0, since: 0, sequence: 0 };
  states.set(root, state);
  const box = root.querySelector("textarea");
  root.querySelector("label").textContent = data.label;
  root.querySelector(".help").textContent = data.note;
  box.placeholder = data.placeholder;
  if (state.open !== null && data.answered === state.open) state.open = null;
  if (state.open === null && !state.timer && root.getRootNode().activeElement !== box) {
    box.value = data.text;
    state.sent = data.text;
  }

  function send() {
    clearTimeout(state.timer);
    state.timer = 0;
    if (box.value === state.sent || (state.open !== null && Date.now() - state.since < PATIENCE_MS)) return;
    state.sent = box.value;
    state.since = Date.now();
    state.open = state.sequence = Math.max(state.since, state.sequence + 1); // grows even when the page is loaded anew
    setTriggerValue("typed", { text: box.value, sequence: state.open });
  }

  box.oninput = () => {
    clearTimeout(state.timer);
    state.timer = setTimeout(send, PAUSE_MS);
  };
  box.onchange = send;
  box.onkeydown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
      state.sent = null; // once more, whatever came in between
      send();
    }
  };
  if (state.open === null && !state.timer) send();
}
