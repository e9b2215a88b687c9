// The browser half of words_view. Colours and numbers come from Python; every text goes in as textContent.
const states = new WeakMap(); // what the visitor looks at; it outlasts updates, so that its value stays live

export default function ({ data, parentElement: root, setTriggerValue }) {
  const state = states.get(root) ?? { texts: null, at: 0, picked: null, read: null, all: false };
  states.set(root, state);
  const find = (name) => root.querySelector(name);
  const [text, editor, reading, list, all] = [".text", ".editor", ".reading", ".bars", ".all"].map(find);
  const input = editor.querySelector("input");
  const { parts } = data;

  const make = (tag, name, content = "") =>
    Object.assign(document.createElement(tag), { className: name, textContent: content });
  const shade = (element, [background, colour]) => Object.assign(element.style, { background, color: colour });

  // A text that is new is written; the same text is coloured anew, in place, so that nothing jumps under the pointer.
  const texts = JSON.stringify([parts, data.unread, data.lead?.[0]]);
  const lost = state.texts !== texts && text.contains(root.getRootNode().activeElement);
  if (state.texts !== texts) {
    text.replaceChildren(
      ...(data.lead ? [make("span", "chip lead"), " "] : []),
      ...parts.flatMap(([word, gap]) => [make("span", "part", word), gap]),
      ...(data.unread ? [make("span", "unread", data.unread)] : []),
    );
    Object.assign(state, { texts, at: Math.min(state.at, parts.length - 1), picked: null, read: null });
  }
  text.setAttribute("aria-label", data.alt);
  text.lang = data.language;
  if (data.tag !== null) text.dataset.tag = data.tag;
  shade(text, data.paper);
  const before = data.lead ? 1 : 0;
  const spans = parts.map((_, i) => text.children[i + before]);
  if (data.lead) text.firstChild.textContent = data.lead.join(" ");
  spans.forEach((span, i) => {
    shade(span, data.shades[i]);
    span.tabIndex = i === state.at ? 0 : -1;
    span.setAttribute("role", data.editable || data.pickable ? "button" : "img");
    span.classList.toggle("asked", data.asked[i]);
    if (data.pickable) span.setAttribute("aria-pressed", data.asked[i]);
    span.setAttribute("aria-label", `${parts[i][0]}: ${data.said[i]}`);
  });

  if (lost) {
    spans[state.at].focus(); // whoever deletes word by word stays at its place
    state.read = state.at;
  }

  const others = find(".others");
  others.hidden = data.others.length === 0;
  others.replaceChildren(
    `On words ${data.on_words}, not on words: `,
    ...data.others.map((other) => make("span", "chip", other)),
  );

  const legend = find(".legend");
  legend.hidden = data.legend === null;
  if (data.legend) {
    legend.querySelector("i").style.background = data.legend.gradient;
    legend.querySelectorAll("span").forEach((span, i) => (span.textContent = data.legend.texts[i]));
  }

  // Bars: made once for each, then moved.
  const { bars } = data;
  find(".right").hidden = bars.length === 0;
  find(".both").classList.toggle("alone", bars.length === 0);
  find(".both").classList.toggle("balanced", data.sinks.length > 0);
  while (list.children.length > bars.length) list.lastChild.remove();
  while (list.children.length < bars.length) {
    const bar = make("li", "bar");
    const name = make("span", "name");
    name.dir = "auto";
    const track = make("span", "track");
    track.append(make("i", ""));
    bar.append(name, track, make("span", "value"));
    list.append(bar);
  }
  bars.forEach(([part, length, strong], i) => {
    const bar = list.children[i];
    bar.querySelector(".name").textContent = parts[part][0];
    bar.querySelector(".value").textContent = data.said[part];
    const track = bar.querySelector(".track");
    track.style.setProperty("--from", Math.min(0, length));
    track.style.setProperty("--size", Math.abs(length));
    track.querySelector("i").style.background = data.shades[part][0];
    bar.dataset.part = part;
    bar.classList.toggle("weak", !strong);
    bar.onpointerenter = () => read(part, "off");
    bar.onpointerleave = () => read(null);
  });
  const strongest = bars.filter(([, , strong]) => strong).length;
  all.hidden = bars.length === strongest;
  all.onclick = () => unfold(!state.all);
  function unfold(every) {
    state.all = every;
    list.classList.toggle("every", every);
    all.textContent = every ? `Only the ${strongest} strongest` : `All ${bars.length}`;
    all.setAttribute("aria-expanded", every);
  }

  // What no word has: few bars, made anew.
  find(".apart").hidden = data.sinks.length === 0;
  find(".sinks").replaceChildren(
    ...data.sinks.map(([name, length, shade, said]) => {
      const bar = make("li", "bar");
      const track = make("span", "track");
      track.style.setProperty("--from", Math.min(0, length));
      track.style.setProperty("--size", Math.abs(length));
      track.append(Object.assign(make("i", ""), { style: `background: ${shade}` }));
      bar.append(make("span", "name", name), track, make("span", "value", said));
      return bar;
    }),
  );

  function read(at, live = "off") {
    state.read = at;
    reading.ariaLive = live; // only what the keyboard asks for is read out
    spans.forEach((span, i) => span.classList.toggle("read", i === at));
    [...list.children].forEach((bar) => bar.classList.toggle("read", +bar.dataset.part === at));
    const shown = at ?? state.picked;
    reading.replaceChildren(...(shown === null ? [] : [make("bdi", "", parts[shown][0]), `: ${data.said[shown]}`]));
  }

  function pick(at) {
    state.picked = at;
    spans.forEach((span, i) => {
      const mine = at !== null && parts[i][2] === parts[at][2];
      span.classList.toggle("picked", mine);
      if (data.editable) span.setAttribute("aria-pressed", mine);
    });
    editor.hidden = at === null || !data.editable;
    if (at !== null) editor.querySelector(".which").textContent = parts[at][3];
  }

  const ask = (at) => setTriggerValue("picked", { word: parts[at][2], version: data.version });

  function send(at, changed) {
    setTriggerValue("edit", { word: parts[at][2], new: changed, version: data.version });
    input.value = "";
    pick(null);
  }

  const place = (event) => spans.indexOf(event.target.closest?.(".part"));

  function go(at) {
    spans[state.at].tabIndex = -1;
    state.at = at;
    spans[at].tabIndex = 0;
    spans[at].focus();
    read(at, "polite");
  }

  text.onpointermove = text.onpointerdown = (event) => read(place(event) < 0 ? null : place(event));
  text.onpointerleave = (event) => event.pointerType === "mouse" && read(null); // a finger leaves with every tap
  text.onclick = (event) => {
    const at = place(event);
    if (at < 0) return pick(null);
    const again = state.picked === at;
    go(at);
    if (data.editable) pick(again ? null : at);
    if (data.pickable) ask(at);
  };
  text.onfocusin = (event) => place(event) >= 0 && read(place(event), "polite");
  text.onfocusout = () => read(null);
  text.onkeydown = (event) => {
    const last = spans.length - 1;
    const onwards = getComputedStyle(text).direction === "rtl" ? -1 : 1;
    const step = { ArrowRight: onwards, ArrowLeft: -onwards, ArrowDown: 1, ArrowUp: -1 }[event.key];
    const jump = { Home: 0, End: last }[event.key];
    if (step !== undefined || jump !== undefined) {
      go(jump ?? Math.min(Math.max(state.at + step, 0), last));
    } else if (data.editable && (event.key === "Enter" || event.key === " ")) {
      pick(state.at);
      input.focus();
    } else if (data.editable && (event.key === "Delete" || event.key === "Backspace")) {
      send(state.at, "");
    } else if (data.pickable && (event.key === "Enter" || event.key === " ")) {
      ask(state.at);
    } else if (event.key === "Escape") {
      pick(null);
    } else return;
    event.preventDefault();
  };
  editor.querySelector(".delete").onclick = () => send(state.picked, "");
  const replace = () => input.value.trim() && send(state.picked, input.value.trim());
  editor.querySelector(".replace").onclick = replace;
  editor.onkeydown = (event) => {
    if (event.key === "Escape") {
      pick(null);
      spans[state.at].focus();
    } else if (event.key === "Enter" && event.target === input && !event.isComposing) {
      spans[state.at].focus();
      replace();
    }
  };
  unfold(state.all);
  pick(state.picked);
  read(state.read);
}
