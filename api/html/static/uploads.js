// Uploads: small files whole, large ones in blocks, three files at a time; a broken one goes on where it was.
"use strict";

const zone = document.querySelector("[data-upload]");
const BLOCK = 1 << 20;
const AT_ONCE = 3;
const waiting = [];
let running = 0;

const size = (bytes) => {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 999.95 && unit < units.length - 1) { bytes /= 1000; unit += 1; }
  return `${unit ? bytes.toFixed(1) : bytes}\u00a0${units[unit]}`;
};

const remaining = (seconds) => seconds < 90 ? `about ${Math.max(1, Math.round(seconds))}\u00a0s left` : `about ${Math.round(seconds / 60)}\u00a0min left`;

class Refused extends Error {
  constructor(words, reason) { super(words); this.reason = reason; }
}

// One file, with its line in the list.
class Sending {
  constructor(file) {
    this.file = file;
    this.name = zone.dataset.folder + file.name;
    this.replace = false;
    this.line = document.createElement("li");
    const part = (tag, name, text = "") => { const made = document.createElement(tag); made.className = name; made.textContent = text; this.line.append(made); return made; };
    part("span", "name", file.name);
    this.bar = part("progress", "");
    this.bar.max = Math.max(1, file.size);
    this.bar.value = 0;
    this.bar.setAttribute("aria-label", file.name);
    this.say = part("span", "say soft", "waiting");
    this.act = part("span", "do");
    this.button("Cancel", () => this.cancel());
  }

  button(label, does) {
    const made = document.createElement("button");
    made.type = "button"; made.className = "button"; made.textContent = label;
    const whose = document.createElement("span");
    whose.className = "sr"; whose.textContent = ` ${this.file.name}`;
    made.append(whose);
    made.addEventListener("click", does);
    this.act.replaceChildren(made);
  }

  address(base, more = {}) {
    const query = { name: this.name, size: this.file.size, modified: this.file.lastModified, type: this.file.type, ...(this.replace ? { replace: 1 } : {}), ...more };
    return `${base}?${new URLSearchParams(query)}`;
  }

  async ask(method, address, body) {
    const headers = { "X-CSRF-Token": document.querySelector("meta[name=csrf]").content };
    const answer = await fetch(address, { method, headers, body, signal: this.stop.signal, redirect: "manual" });
    if (answer.type === "opaqueredirect") throw new Refused("You are signed out. Sign in again and choose the file once more.", "session");
    const said = (answer.headers.get("Content-Type") || "").startsWith("application/json") ? await answer.json() : {};
    if (!answer.ok) throw new Refused(said.error || `The server refused it with ${answer.status}.`, said.reason);
    return said;
  }

  async run() {
    this.stop = new AbortController();
    this.bar.className = "";
    this.button("Cancel", () => this.cancel());
    try {
      if (this.file.size <= BLOCK) await this.ask("PUT", this.address(zone.dataset.upload), this.file);
      else await this.inBlocks();
      this.done();
    } catch (error) { this.failed(error); }
  }

  async inBlocks() {
    const here = await this.ask("GET", this.address(zone.dataset.blocks));
    if (here.exists && !this.replace) throw new Refused("The blob exists already.", "blob-exists");
    const kept = new Set(here.blocks);
    const count = Math.ceil(this.file.size / BLOCK);
    const start = performance.now();
    let sent = 0;
    for (let number = 0; number < count; number += 1) {
      const piece = this.file.slice(number * BLOCK, (number + 1) * BLOCK);
      if (!kept.has(number)) {
        await this.ask("PUT", this.address(zone.dataset.blocks, { block: number }), piece);
        sent += piece.size;
      }
      this.bar.value = Math.min(this.file.size, (number + 1) * BLOCK);
      const rate = sent / Math.max(1, performance.now() - start) * 1000;
      const left = rate ? `, ${remaining((this.file.size - this.bar.value) / rate)}` : "";
      this.say.textContent = `${size(this.bar.value)} of ${size(this.file.size)}, block ${number + 1} of ${count}${left}`;
    }
    await this.ask("POST", this.address(zone.dataset.blocks));
  }

  done() {
    this.bar.value = this.bar.max;
    this.bar.className = "done";
    this.say.textContent = `on disk, ${size(this.file.size)}`;
    const open = document.createElement("a");
    open.className = "button"; open.textContent = "Open"; open.href = `${zone.dataset.open}?${new URLSearchParams({ name: this.name })}`;
    this.act.replaceChildren(open);
    zone.querySelector("[data-after]").hidden = false;
    document.querySelector("[data-until-uploaded]")?.remove();
  }

  failed(error) {
    this.bar.className = "rest";
    if (error.name === "AbortError") {
      this.say.textContent = this.file.size > BLOCK ? "Cancelled; sent blocks are kept for 7 days" : "Cancelled";
      this.button("Resume", () => queue(this));
    } else if (error.reason === "blob-exists") {
      this.say.textContent = "There is a blob of this name already.";
      this.button("Replace", () => { this.replace = true; queue(this); });
    } else if (error instanceof Refused) {
      this.say.textContent = error.message;
      this.button("Try again", () => queue(this));
    } else {
      this.say.textContent = `Connection lost at ${size(this.bar.value)} of ${size(this.file.size)}${this.file.size > BLOCK ? "; blocks kept for 7 days" : ""}`;
      this.button("Resume", () => queue(this));
    }
  }

  cancel() {
    const at = waiting.indexOf(this);
    if (at >= 0) { waiting.splice(at, 1); this.failed(new DOMException("", "AbortError")); }
    else this.stop.abort();
  }
}

const queue = (one) => { one.say.textContent = "waiting"; one.button("Cancel", () => one.cancel()); waiting.push(one); pump(); };

const pump = async () => {
  if (running >= AT_ONCE || !waiting.length) return;
  running += 1;
  await waiting.shift().run();
  running -= 1;
  pump();
};

if (zone) {
  const input = zone.querySelector("input[type=file]");
  const list = zone.querySelector(".uploads");
  input.addEventListener("change", () => {
    for (const file of input.files) {
      const one = new Sending(file);
      list.hidden = false;
      list.append(one.line);
      queue(one);
    }
    input.value = "";
  });
  // Leaving the page would cancel what is on its way.
  addEventListener("beforeunload", (event) => { if (running || waiting.length) event.preventDefault(); });
}
