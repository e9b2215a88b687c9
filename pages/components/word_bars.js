// The browser half of word_bars: a list of buttons, made once and updated in place so that the bars move.
export default function ({ data, parentElement: root, setTriggerValue }) {
  const list = root.querySelector("ol");
  list.setAttribute("aria-label", data.alt);
  while (list.children.length > data.names.length) list.lastChild.remove();
  while (list.children.length < data.names.length) {
    const item = document.createElement("li");
    const button = Object.assign(document.createElement("button"), { type: "button" });
    for (const part of ["name", "mark", "value"]) {
      button.append(Object.assign(document.createElement("span"), { className: part }));
    }
    const track = Object.assign(document.createElement("span"), { className: "track" });
    track.append(document.createElement("i"));
    button.append(track);
    item.append(button);
    list.append(item);
  }
  data.names.forEach((name, place) => {
    const button = list.children[place].firstChild;
    const [style, mark] =
      place === data.chosen ? ["chosen", "explained"] : place === data.rival ? ["rival", "the rival"] : ["", ""];
    button.className = style;
    button.disabled = !data.open;
    button.setAttribute("aria-pressed", style !== "");
    const label = button.querySelector(".name");
    label.textContent = name;
    label.dir = "auto";
    button.querySelector(".mark").textContent = mark;
    button.querySelector(".value").textContent = data.texts[place];
    button.querySelector(".track").style.setProperty("--share", data.lengths[place]);
    button.onclick = () => setTriggerValue("picked", { place, version: data.version });
  });
}
