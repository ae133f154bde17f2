// The sketch pad. Strokes are kept in shares of the square's side, (0, 0) top left, and sent while one draws; the
// photos that Python sends back are shown beside them. An AnyWidget module: https://anywidget.dev/en/afm

const SIDE = 320; // of the paper, in CSS pixels
const STEP = 0.002; // points nearer than this to the one before are left out
const WAIT = 80; // ms between messages while the pen is down
const LARGEST = 8e6; // bytes of a loaded image: Jupyter's server closes a connection at 10 MB
const PATIENCE = 5000; // ms without an answer after which the pad says so

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function slider(name, className, range) {
  const input = make("input", { type: "range", ...range, className });
  const text = make("span", {}, name);
  return { input, text, label: make("label", {}, text, input) };
}

function toolbar(model) {
  const pen = slider("Pen width", "pen", { min: 0.004, max: 0.06, step: 0.001 });
  const photos = slider("Photos", "photos", { min: 1, max: model.get("most"), step: 1 });
  const undo = make("button", { type: "button", className: "undo" }, "Undo");
  const clear = make("button", { type: "button", className: "clear" }, "Clear");
  const file = make("input", { type: "file", accept: "image/*", className: "file", "aria-label": "Load an image" });
  const choose = make("button", { type: "button", className: "load" }, "Load image…");
  const kinds = model.get("representations").map(([value, text]) => make("button", { type: "button", value }, text));
  const group = make("div", { className: "kinds", role: "group", "aria-label": "Representation" }, ...kinds);
  const bar = make("div", { className: "tools", role: "toolbar", "aria-label": "Sketching tools" });
  bar.append(pen.label, undo, clear, choose, file, photos.label, group);
  return { bar, pen: pen.input, undo, clear, choose, file, photos: photos.input, count: photos.text, kinds };
}

function paint(canvas, { strokes, picture }, ink) {
  const pixels = Math.round(SIDE * (window.devicePixelRatio || 1));
  if (canvas.width !== pixels) canvas.width = canvas.height = pixels;
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, pixels, pixels);
  if (picture) context.drawImage(picture, 0, 0, pixels, pixels); // stretched, as the network sees every image
  context.strokeStyle = context.fillStyle = `rgb(${ink}, ${ink}, ${ink})`;
  context.lineCap = context.lineJoin = "round";
  for (const { width, points } of strokes) {
    const [left, top] = points[0];
    context.beginPath(); // a line of one point has no length, and would not be drawn
    context.arc(left * pixels, top * pixels, (width / 2) * pixels, 0, 2 * Math.PI);
    context.fill();
    context.lineWidth = width * pixels;
    context.beginPath();
    for (const [x, y] of points) context.lineTo(x * pixels, y * pixels);
    context.stroke();
  }
}

function showStrips(place, strips, buffers) {
  for (const image of place.querySelectorAll("img")) URL.revokeObjectURL(image.src);
  let next = 0;
  const images = [];
  const sections = strips.map(({ title, photos }) => {
    const items = photos.map(({ rank, label, distance }) => {
      const src = URL.createObjectURL(new Blob([buffers[next++]], { type: "image/jpeg" }));
      const image = make("img", { src, alt: `rank ${rank}: ${label}, distance ${distance}` });
      images.push(image);
      const caption = make("figcaption", {}, make("b", {}, `${rank} `), label, make("br"), make("small", {}, distance));
      return make("li", {}, make("figure", {}, image, caption));
    });
    const list = make("ol", { "aria-label": `Nearest photos, ${title}` }, ...items);
    return make("section", {}, make("h4", {}, title), list);
  });
  place.replaceChildren(...sections);
  return Promise.allSettled(images.map((image) => image.decode()));
}

function render({ model, el }) {
  const { bar, pen, undo, clear, choose, file, photos, count, kinds } = toolbar(model);
  const paper = make("canvas", {
    className: "paper", tabIndex: 0, role: "img",
    "aria-label": "Paper to draw on with mouse, finger or pen. An image file can be dropped here.",
  });
  const status = make("div", { className: "status", role: "status", "aria-live": "polite" });
  const strips = make("div", { className: "strips" });
  const desk = make("div", { className: "desk" }, paper, bar, status);
  const about = { className: "sakerepro-pad", role: "group", "aria-label": "Sketch pad", tabIndex: -1 };
  const root = make("div", about, desk, strips);
  // JupyterLab looks for this on the element that has the focus; a click beside the controls gives it to the root
  for (const each of [root, ...desk.querySelectorAll("canvas, button, input")]) each.dataset.lmSuppressShortcuts = "true";
  el.append(root);

  let state = { strokes: [], bitmap: null, picture: null }; // what is on the paper; never changed in place
  let past = []; // what undo goes back to
  let line = null; // the stroke that is being drawn
  let pointer = 0; // that draws it
  let timer = 0;
  let waiting = 0; // timer of an answer
  let sending = false;
  let shown = 0; // version of the drawing that the photos belong to
  let sentBitmap = null;
  const sentAt = new Map();

  const repaint = () => {
    const strokes = line ? [...state.strokes, line] : state.strokes;
    paint(paper, { ...state, strokes }, model.get("ink"));
    // not `disabled`: that would take the focus away, and the next keys would be the notebook's
    undo.ariaDisabled = !past.length;
    clear.ariaDisabled = !state.strokes.length && !state.picture;
  };

  function expectAnswer() {
    waiting ||= setTimeout(() => say("No answer for 5 seconds. Another cell keeps the kernel busy, or the kernel was " +
      "restarted: then execute this cell again.", true), PATIENCE);
  }

  function send() {
    clearTimeout(timer);
    expectAnswer();
    timer = 0;
    const version = model.get("version") + 1;
    sentAt.set(version, performance.now());
    root.dataset.sent = version;
    sending = true;
    const strokes = line ? [...state.strokes, line] : state.strokes;
    model.set("strokes", structuredClone(strokes));
    if (state.bitmap !== sentBitmap) model.set("bitmap", state.bitmap ?? new DataView(new ArrayBuffer(0)));
    sentBitmap = state.bitmap;
    model.set("version", version);
    model.set("example", false);
    model.save_changes(); // Jupyter holds it while Python is busy and then sends the latest only
    sending = false;
  }

  function change(next) {
    past.push(state);
    state = { ...state, ...next };
    repaint();
    send();
  }

  const at = (event) => {
    const box = paper.getBoundingClientRect();
    const share = (value, start, side) => Math.round(((value - start) / side) * 1e4) / 1e4;
    return [share(event.clientX, box.left, box.width), share(event.clientY, box.top, box.height)];
  };

  paper.addEventListener("pointerdown", (event) => {
    if (line || event.button !== 0) return; // a second finger or a resting hand
    event.preventDefault();
    paper.focus({ preventScroll: true });
    paper.setPointerCapture(event.pointerId);
    if (model.get("example")) {
      past.push(state);
      state = { strokes: [], bitmap: null, picture: null };
    }
    pointer = event.pointerId;
    line = { width: model.get("pen"), points: [at(event)] };
    repaint();
  });

  paper.addEventListener("pointermove", (event) => {
    if (!line || pointer !== event.pointerId) return;
    const fine = event.getCoalescedEvents?.() ?? [];
    for (const point of (fine.length ? fine : [event]).map(at)) {
      const [x, y] = line.points.at(-1);
      if (Math.hypot(point[0] - x, point[1] - y) >= STEP) line = { ...line, points: [...line.points, point] };
    }
    repaint();
    timer ||= setTimeout(send, WAIT);
  });

  const finish = (event) => {
    if (!line || pointer !== event.pointerId) return;
    const strokes = [...state.strokes, line];
    line = null;
    change({ strokes });
  };
  paper.addEventListener("pointerup", finish);
  paper.addEventListener("pointercancel", finish);

  function back() {
    if (line || !past.length) return;
    state = past.pop();
    repaint();
    send();
  }
  const wipe = () => clear.ariaDisabled !== "true" && change({ strokes: [], bitmap: null, picture: null });
  undo.addEventListener("click", back);
  clear.addEventListener("click", wipe);
  root.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "z") {
      event.preventDefault();
      back();
    }
  });

  async function load(chosen) {
    if (!chosen) return;
    if (chosen.size > LARGEST) return say(`${chosen.name} is larger than ${LARGEST / 1e6} MB. Shrink it first.`, true);
    try {
      const picture = await createImageBitmap(chosen);
      change({ strokes: [], bitmap: new DataView(await chosen.arrayBuffer()), picture });
    } catch {
      say(`${chosen.name} is not an image that this browser can read.`, true);
    }
  }
  choose.addEventListener("click", () => file.click());
  file.addEventListener("change", () => load(file.files[0]).then(() => (file.value = "")));
  root.addEventListener("dragover", (event) => event.preventDefault());
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    load(event.dataTransfer.files[0]);
  });

  pen.addEventListener("input", () => {
    model.set("pen", Number(pen.value));
    model.save_changes();
  });

  function ask(name, value) {
    expectAnswer();
    model.set(name, value);
    model.save_changes();
  }
  photos.addEventListener("input", () => ask("k", Number(photos.value)));
  for (const kind of kinds) kind.addEventListener("click", () => ask("representation", kind.value));

  function say(text, wrong = false) {
    status.textContent = text;
    status.classList.toggle("wrong", wrong);
  }

  async function receive(message, buffers) {
    clearTimeout(waiting);
    waiting = 0;
    if (message.version < shown) return; // an answer that was overtaken
    shown = message.version;
    const start = sentAt.get(shown);
    for (const version of sentAt.keys()) if (version <= shown) sentAt.delete(version);
    await showStrips(strips, message.strips, buffers);
    if (message.version < shown) return;
    const took = start === undefined ? "" : Math.round(performance.now() - start);
    say(message.text + (took && message.strips.length ? ` in ${took} ms` : ""), message.wrong);
    Object.assign(root.dataset, { shown, took }); // tests wait for it
  }

  async function follow() {
    if (sending) return;
    const bytes = model.get("bitmap");
    const picture = bytes?.byteLength ? await createImageBitmap(new Blob([bytes])).catch(() => null) : null;
    state = { strokes: model.get("strokes"), bitmap: picture && bytes, picture };
    sentBitmap = state.bitmap;
    repaint();
  }
  function settle() {
    const k = (photos.value = model.get("k"));
    pen.value = model.get("pen");
    count.textContent = `Photos: ${k}`;
    for (const kind of kinds) kind.ariaPressed = kind.value === model.get("representation");
    strips.style.setProperty("--across", Math.ceil(Math.sqrt(k))); // as many tiles side by side as below each other
  }
  model.on("change:strokes change:bitmap change:ink", follow);
  model.on("change:pen change:k change:representation", settle);
  model.on("msg:custom", receive);
  settle();
  follow();
  expectAnswer();
  model.send({ kind: "ready" }); // a view that is opened later asks for its photos
  return () => {
    clearTimeout(timer);
    clearTimeout(waiting);
    model.off("change:strokes change:bitmap change:ink", follow);
    model.off("change:pen change:k change:representation", settle);
    model.off("msg:custom", receive);
    for (const image of strips.querySelectorAll("img")) URL.revokeObjectURL(image.src);
  };
}

export default { render };
