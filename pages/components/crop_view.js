// The browser half of crop_view. A crop is { x, y, size } in per cent: where the square lies in the free room, and its
// side as a share of the largest one; `models.photos.pictures.crop_box` cuts by the same sums.
const records = new WeakMap();
const MOVE = 2; // per cent of the free room for one press of an arrow key
const RESIZE = 5;
const HIGHEST = 18; // rem, so that a tall picture leaves room for the gallery below it

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const whole = ({ x, y, size }) => ({ x: Math.round(x), y: Math.round(y), size: Math.round(size) });
const same = (a, b) => a.x === b.x && a.y === b.y && a.size === b.size;

export default function ({ data, parentElement: root, setStateValue }) {
  const stage = root.querySelector(".stage");
  const picture = root.querySelector("img");
  const square = root.querySelector(".square");
  const words = root.querySelector(".hint");
  const spoken = root.querySelector("output");
  const s = records.get(root) ?? {};
  records.set(root, s);

  const { width, height } = data;
  const largest = data.share * Math.min(width, height);
  const side = (crop) => (largest * crop.size) / 100;
  const left = (crop) => ((width - side(crop)) * crop.x) / 100;
  const top = (crop) => ((height - side(crop)) * crop.y) / 100;
  // The crop of a square that begins at (l, t), in pixels of the picture. Where there is no room, its place is 50.
  const at = (l, t, size) => {
    const room = (length) => length - (largest * size) / 100;
    const place = (start, length) => (room(length) < 0.5 ? 50 : clamp((100 * start) / room(length), 0, 100));
    return { x: place(l, width), y: place(t, height), size };
  };

  const show = () => {
    const crop = s.crop;
    square.style.left = `${(100 * left(crop)) / width}%`;
    square.style.top = `${(100 * top(crop)) / height}%`;
    square.style.width = `${(100 * side(crop)) / width}%`;
    const { x, y, size } = whole(crop);
    s.text = `${x} % across, ${y} % down, ${size} % large`;
    square.setAttribute(
      "aria-label",
      `The network sees this square: ${s.text}. Arrow keys move it, plus and minus resize it.`,
    );
    square.dataset.crop = `${x},${y},${size}`;
    words.textContent = size === 100 ? "Drag the square, or a corner of it" : `${size} % of the largest square`;
    root.querySelector(".smaller").disabled = size <= data.smallest;
    root.querySelector(".larger").disabled = size >= 100;
    // A finger on a square that cannot move up or down scrolls the page.
    const [across, down] = [width - side(crop) > 0.5, height - side(crop) > 0.5];
    square.style.touchAction = across && down ? "none" : across ? "pan-y" : down ? "pan-x" : "auto";
    square.style.cursor = across || down ? "move" : "default";
  };
  const send = () => {
    s.crop = whole(s.crop);
    show();
    if (same(s.crop, s.known)) return;
    s.known = s.crop;
    s.number = Math.max(Date.now(), (s.number ?? 0) + 1);
    setStateValue("crop", { ...s.crop, number: s.number });
  };
  const resize = (size) => {
    // About the middle of the square.
    const next = clamp(size, data.smallest, 100);
    const shift = (side(s.crop) - (largest * next) / 100) / 2;
    s.crop = at(left(s.crop) + shift, top(s.crop) + shift, next);
    show();
  };

  // What Python says counts, unless it has yet to hear of what the visitor did last.
  const fresh = s.address !== data.address;
  if (fresh) {
    s.address = data.address;
    s.number = null;
    s.held = null;
    picture.src = data.address;
  }
  stage.style.aspectRatio = `${width} / ${height}`;
  stage.style.width = `min(100%, ${(HIGHEST * width) / height}rem)`;
  picture.alt = data.alt;
  if (!s.held && (fresh || s.number === null || s.number === data.answered)) {
    s.crop = s.known = { x: data.x, y: data.y, size: data.size };
  }
  show();

  square.onpointerdown = (event) => {
    if (event.button !== 0) return;
    event.preventDefault(); // no drag of the picture, no selection
    square.focus({ preventScroll: true });
    square.setPointerCapture(event.pointerId);
    const box = stage.getBoundingClientRect();
    s.held = {
      zoom: width / box.width,
      x: event.clientX,
      y: event.clientY,
      left: left(s.crop),
      top: top(s.crop),
      size: s.crop.size,
      corner: event.target.dataset.corner,
    };
  };
  square.onpointermove = (event) => {
    const h = s.held;
    if (!h) return;
    const [dx, dy] = [(event.clientX - h.x) * h.zoom, (event.clientY - h.y) * h.zoom];
    if (h.corner) {
      // The opposite corner stays where it is; the square may not reach over the edge of the picture.
      const [west, north] = [h.corner.includes("w"), h.corner.includes("n")];
      const before = (largest * h.size) / 100;
      const room = Math.min(west ? h.left + before : width - h.left, north ? h.top + before : height - h.top);
      const grown = before + Math.max(west ? -dx : dx, north ? -dy : dy);
      const size = clamp((100 * Math.min(grown, room)) / largest, data.smallest, 100);
      const gain = (largest * size) / 100 - before;
      s.crop = at(west ? h.left - gain : h.left, north ? h.top - gain : h.top, size);
    } else {
      s.crop = at(h.left + dx, h.top + dy, h.size);
    }
    show();
  };
  square.onpointerup = square.onpointercancel = () => {
    if (!s.held) return;
    s.held = null;
    send();
  };
  square.onkeydown = (event) => {
    const step = event.shiftKey ? 5 * MOVE : MOVE;
    const [across, down] = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    }[event.key] ?? [0, 0];
    if (across || down) {
      const { x, y, size } = s.crop;
      const room = [width - side(s.crop) > 0.5, height - side(s.crop) > 0.5];
      s.crop = { x: clamp(x + across * room[0], 0, 100), y: clamp(y + down * room[1], 0, 100), size };
    } else if (event.key === "+" || event.key === "=") resize(s.crop.size + RESIZE);
    else if (event.key === "-") resize(s.crop.size - RESIZE);
    else if (event.key === "Home") s.crop = { x: 50, y: 50, size: 100 };
    else return;
    event.preventDefault();
    show();
    spoken.value = s.text; // read out, for those who move it by ear
  };
  square.onkeyup = square.onblur = () => {
    if (!s.held) send();
  };
  square.ondblclick = () => {
    s.crop = { x: 50, y: 50, size: 100 };
    send();
  };
  root.querySelector(".smaller").onclick = () => {
    resize(s.crop.size - 2 * RESIZE);
    send();
  };
  root.querySelector(".larger").onclick = () => {
    resize(s.crop.size + 2 * RESIZE);
    send();
  };
}
