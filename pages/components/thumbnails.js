// The browser half of thumbnails: one button for each picture.
export default function ({ data, parentElement: root, setTriggerValue }) {
  const grid = root.querySelector(".grid");
  grid.setAttribute("aria-label", data.label);
  while (grid.children.length > data.items.length) grid.lastChild.remove();
  while (grid.children.length < data.items.length) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(document.createElement("img"));
    grid.append(button);
  }
  data.items.forEach(({ name, title, address }, i) => {
    const button = grid.children[i];
    const [image] = button.children;
    button.title = title;
    button.setAttribute("aria-label", title);
    button.setAttribute("aria-pressed", name === data.chosen);
    button.onclick = () => setTriggerValue("pressed", name);
    image.alt = ""; // the button's own name says it
    if (image.src !== address) image.src = address;
  });
}
