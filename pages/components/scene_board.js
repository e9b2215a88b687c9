// The browser half of scene_board. What is where in the picture, Python knows; here it is told where a hand was.
const records = new WeakMap();

export default function ({ data, parentElement: root, setTriggerValue }) {
  const board = root.querySelector(".stage");
  const picture = root.querySelector("img");
  const spoken = root.querySelector("output");
  const s = records.get(root) ?? { number: 0, waiting: null, way: [0, 0] };
  records.set(root, s);

  if (picture.src !== data.address) picture.src = data.address;
  picture.alt = data.alt;
  root.querySelector(".hint").textContent = data.hint;
  const named = data.chosen ? `Chosen: ${data.chosen}. Arrow keys move it, Delete takes it away.` : "No object chosen.";
  board.setAttribute("aria-label", `The scene. ${named} Page Up and Page Down choose another object.`);
  board.dataset.chosen = data.chosen;
  if (s.chosen !== undefined && s.chosen !== data.chosen) spoken.value = named;
  s.chosen = data.chosen;

  const send = (kind, x = 0, y = 0) => {
    s.number = s.waiting = Math.max(Date.now(), s.number + 1);
    setTriggerValue("act", { kind, x, y, number: s.number });
  };
  // Steps add up while Python has yet to answer the last ones, so that none is lost however fast the keys are.
  const walk = () => {
    const [x, y] = s.way.map((steps) => Math.min(Math.max(steps, -data.steps), data.steps));
    if (s.waiting !== null || (!x && !y)) return;
    s.way = [0, 0];
    send("step", x, y);
  };
  if (s.waiting === data.answered) s.waiting = null;
  walk();

  board.onclick = (event) => {
    const box = picture.getBoundingClientRect();
    const share = (at, from, size) => Math.min(Math.max((at - from) / size, 0), 1);
    send("point", share(event.clientX, box.left, box.width), share(event.clientY, box.top, box.height));
  };
  board.onkeydown = (event) => {
    const step = event.shiftKey ? 4 : 1;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const { key } = event;
    if (key in moves && data.chosen) {
      s.way = s.way.map((steps, axis) => steps + moves[key][axis]);
      walk();
    } else if (key === "PageDown") send("turn", 1);
    else if (key === "PageUp") send("turn", -1);
    else if (key === "Escape" && data.chosen) send("leave");
    else if ((key === "Delete" || key === "Backspace") && data.chosen) send("delete");
    else return;
    event.preventDefault();
  };
}
