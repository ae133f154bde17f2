// The sketch pad. Strokes are kept in shares of the square's side, (0, 0) top left, and sent while one draws; the
// photos that Python sends back are shown below. An AnyWidget module: https://anywidget.dev/en/afm

const SIDE = 320; // of the paper, in CSS pixels
const STEP = 0.002; // points nearer than this to the one before are left out
const WAIT = 80; // ms between messages while the pen is down
const LARGEST = 8e6; // bytes of a loaded image: Jupyter's server closes a connection at 10 MB

let pads = 0;

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function toolbar() {
  const id = `sakerepro-pen-${++pads}`;
  const pen = make("input", { type: "range", id, min: 0.004, max: 0.06, step: 0.001, className: "pen" });
  const undo = make("button", { type: "button", className: "undo" }, "Undo");
  const clear = make("button", { type: "button", className: "clear" }, "Clear");
  const file = make("input", { type: "file", accept: "image/*", className: "file", "aria-label": "Load an image" });
  const choose = make("button", { type: "button", className: "load" }, "Load image…");
  const label = make("label", { htmlFor: id }, "Pen width");
  const bar = make("div", { className: "tools", role: "toolbar", "aria-label": "Sketching tools" });
  bar.append(label, pen, undo, clear, choose, file);
  return { bar, pen, undo, clear, choose, file };
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
  const { bar, pen, undo, clear, choose, file } = toolbar();
  const paper = make("canvas", {
    className: "paper", tabIndex: 0, role: "img",
    "aria-label": "Paper to draw on with mouse, finger or pen. An image file can be dropped here.",
  });
  const status = make("div", { className: "status", role: "status", "aria-live": "polite" });
  const strips = make("div", { className: "strips" });
  const desk = make("div", { className: "desk" }, paper, bar, status);
  const root = make("div", { className: "sakerepro-pad", role: "group", "aria-label": "Sketch pad" }, desk, strips);
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab: keys typed here are not the notebook's
  el.append(root);

  let state = { strokes: [], bitmap: null, picture: null }; // what is on the paper; never changed in place
  let past = []; // what undo goes back to
  let line = null; // the stroke that is being drawn
  let pointer = 0; // that draws it
  let timer = 0;
  let sending = false;
  let shown = 0; // version of the drawing that the photos belong to
  let sentBitmap = null;
  const sentAt = new Map();

  const repaint = () => {
    const strokes = line ? [...state.strokes, line] : state.strokes;
    paint(paper, { ...state, strokes }, model.get("ink"));
    undo.disabled = !past.length;
    clear.disabled = !state.strokes.length && !state.picture;
  };

  function send() {
    clearTimeout(timer);
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
  const wipe = () => change({ strokes: [], bitmap: null, picture: null });
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

  function say(text, wrong = false) {
    status.textContent = text;
    status.classList.toggle("wrong", wrong);
  }

  async function receive(message, buffers) {
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
  const settle = () => (pen.value = model.get("pen"));
  model.on("change:strokes change:bitmap change:ink", follow);
  model.on("change:pen", settle);
  model.on("msg:custom", receive);
  settle();
  follow();
  model.send({ kind: "ready" }); // a view that is opened later asks for its photos
  return () => {
    clearTimeout(timer);
    model.off("change:strokes change:bitmap change:ink", follow);
    model.off("change:pen", settle);
    model.off("msg:custom", receive);
    for (const image of strips.querySelectorAll("img")) URL.revokeObjectURL(image.src);
  };
}

export default { render };
