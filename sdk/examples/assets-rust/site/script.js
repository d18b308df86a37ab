// Fills the table. Each cell ends with "ok", or says what went wrong.
const show = async (id, work) => {
  const cell = document.getElementById(id);
  try {
    cell.textContent = `${await work()} · ok`;
  } catch (error) {
    cell.textContent = `failed: ${error.message}`;
  }
};

const get = async (path, init) => {
  const response = await fetch(path, init);
  if (!response.ok) throw new Error(`${path}: status ${response.status}`);
  return response;
};

const expect = (condition, message) => {
  if (!condition) throw new Error(message);
};

const bytes = async (path) => {
  const body = new Uint8Array(await (await get(path)).arrayBuffer());
  const lines = new TextDecoder().decode(body).split("\n");
  expect(lines.pop() === "" && lines.every((line, index) => Number(line) === index), `${path} is not as it was written`);
  return `${body.length.toLocaleString("en")} bytes`;
};

Promise.all([
  show("large", () => bytes("large.txt")),
  show("pieces", () => bytes("pieces.txt")),
  show("visits", async () => (await get("visits", { method: "POST" })).text()),
  show("forged", async () => {
    const { status } = await fetch("uncertified.txt");
    expect(status === 502, `status ${status}`);
    return "refused";
  }),
]).then(() => { document.body.dataset.done = "yes"; });
