// The browser half of film: every frame is here already, so stepping, dragging and playing ask nobody.
const films = new WeakMap();
const PERIOD = 350; // milliseconds a frame stays while playing

const bytes = (base64) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));

function paint(canvas, frame, table) {
  const image = new ImageData(frame.columns, frame.rows);
  bytes(frame.shades).forEach((shade, at) => {
    image.data.set(table.subarray(3 * shade, 3 * shade + 3), 4 * at);
    image.data[4 * at + 3] = 255;
  });
  canvas.width = frame.columns;
  canvas.height = frame.rows;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// The words of a text in their colours, each readable by itself: black on light ones, white on dark ones.
function colour(text, frame, table) {
  text.style.backgroundColor = `rgb(${table.subarray(3 * 128, 3 * 129).join()})`;
  bytes(frame.words ?? frame.shades).forEach((shade, at) => {
    const rgb = table.subarray(3 * shade, 3 * shade + 3);
    const [r, g, b] = Array.from(rgb, (part) => (part <= 10 ? part / 3294 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    const { style } = text.children[at];
    style.backgroundColor = `rgb(${rgb.join()})`;
    style.color = 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
  });
}

export default function ({ data, parentElement: root }) {
  const film = films.get(root) ?? { at: data.start, identity: null, timer: null };
  films.set(root, film);
  const { frames } = data;
  const table = bytes(data.table);
  const slider = root.querySelector("input");
  const play = root.querySelector(".play");
  const strip = root.querySelector(".strip");
  const text = root.querySelector(".words");
  const canvas = root.querySelector(".stage canvas");
  const spoken = data.words.length > 0;
  const written = spoken && !frames[0].words; // words alone, without a picture
  const screen = written ? text : canvas;
  text.hidden = !spoken;
  canvas.hidden = written;
  root.querySelector(".stage").classList.toggle("written", written);

  const stop = () => {
    clearInterval(film.timer);
    film.timer = null;
    play.textContent = "Play";
  };
  const show = (at) => {
    film.at = Math.min(Math.max(at, 0), frames.length - 1);
    const frame = frames[film.at];
    if (spoken) colour(text, frame, table);
    if (!written) paint(canvas, frame, table);
    screen.setAttribute("aria-label", frame.alt);
    if (spoken) text.setAttribute("aria-label", frame.alt);
    screen.dataset.frame = film.at;
    root.querySelector(".title").textContent = frame.title;
    root.querySelector(".note").textContent = frame.note;
    slider.value = film.at;
    slider.style.setProperty("--share", film.at / Math.max(1, frames.length - 1));
    slider.setAttribute("aria-valuetext", frame.title);
    [...strip.children].forEach((button, i) => button.setAttribute("aria-current", i === film.at));
  };

  if (film.identity !== data.identity) {
    film.identity = data.identity;
    film.at = data.start;
    stop();
    text.replaceChildren(
      ...data.words.flatMap(([word, gap]) => [Object.assign(document.createElement("span"), { textContent: word }), gap]),
    );
    slider.max = frames.length - 1;
    slider.setAttribute("aria-label", data.label);
    strip.setAttribute("aria-label", data.label);
    strip.replaceChildren(
      ...frames.map((frame) => {
        const button = document.createElement("button");
        const canvas = document.createElement("canvas");
        const name = document.createElement("span");
        button.type = "button";
        button.title = frame.title;
        name.textContent = frame.name;
        paint(canvas, frame, table);
        button.append(canvas, name);
        return button;
      }),
    );
  }
  [...strip.children].forEach((button, i) => {
    button.onclick = () => {
      stop();
      show(i);
    };
  });
  slider.oninput = () => {
    stop();
    show(+slider.value);
  };
  play.onclick = () => {
    if (film.timer) return stop();
    if (film.at === frames.length - 1) show(0);
    play.textContent = "Pause";
    film.timer = setInterval(() => (film.at < frames.length - 1 ? show(film.at + 1) : stop()), PERIOD);
  };
  show(film.at);
  return () => clearInterval(film.timer);
}
