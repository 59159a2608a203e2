// What must move, and nothing else. Every page works without it, except copying and the live parts.
"use strict";

// Copy: the value of a field or the text of an element; the button says so, and a screen reader hears it.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const from = document.getElementById(button.dataset.copy);
  const text = "value" in from ? from.value : from.textContent;
  const label = button.dataset.label ??= button.firstChild.nodeValue;
  try {
    await navigator.clipboard.writeText(text);
    button.firstChild.nodeValue = "Copied";
  } catch {
    const range = document.createRange();
    if (from.select) from.select();
    else { range.selectNodeContents(from); getSelection().removeAllRanges(); getSelection().addRange(range); }
    button.firstChild.nodeValue = "Press Ctrl+C";
  }
  button.setAttribute("aria-live", "polite");
  setTimeout(() => { button.firstChild.nodeValue = label; }, 2000);
});

// What is shown once is gone before the page can be kept for the back button.
const once = document.querySelector("[data-once]");
if (once) {
  const leave = () => location.replace(once.dataset.once);
  const came = performance.getEntriesByType("navigation")[0]?.type;
  if (came === "reload" || came === "back_forward") { once.replaceChildren(); leave(); }
  addEventListener("pagehide", () => { for (const field of once.querySelectorAll("input")) field.value = ""; once.replaceChildren(); });
  addEventListener("pageshow", (event) => { if (event.persisted) leave(); });
}

// What an act did is read out first, and a fault is where the typing goes on.
document.querySelector("[data-focus], [aria-invalid=true]:not([autofocus])")?.focus({ preventScroll: false });

// The server writes times in the zone that the browser had at sign-in.
for (const field of document.querySelectorAll("[data-zone]")) field.value = Intl.DateTimeFormat().resolvedOptions().timeZone;

// Choosing a tenant shows what belongs to it.
for (const choice of document.querySelectorAll("[data-go]")) choice.addEventListener("change", () => location.assign(choice.dataset.go + encodeURIComponent(choice.value)));

// Typed confirmation. The server checks it again.
for (const field of document.querySelectorAll("[data-type]")) {
  const button = document.getElementById(field.dataset.opens);
  const judge = () => { button.disabled = field.value !== field.dataset.type; };
  field.addEventListener("input", judge);
  judge();
}

// The slider and the moment beside it say the same; what the field said first stays as it is.
for (const slide of document.querySelectorAll("[data-from]")) {
  const field = document.getElementById(slide.dataset.for);
  const start = new Date(slide.dataset.from).getTime();
  const step = (slide.dataset.step ?? 3600) * 1000;
  const pad = (n) => String(n).padStart(2, "0");
  const describe = () => slide.setAttribute("aria-valuetext", field.value.replace("T", ", "));
  const say = () => {
    const d = new Date(start + slide.value * step);
    field.value = `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}T${pad(d.getHours())}:${pad(d.getMinutes())}`;
    describe();
  };
  const follow = () => { slide.value = Math.ceil((new Date(field.value) - start) / step); describe(); };
  slide.addEventListener("input", say);
  field.addEventListener("change", follow);
  if (field.value) follow(); else say();
}

// A drop zone gives its files to the plain input beside it; one that is a form is sent.
for (const zone of document.querySelectorAll("[data-drop]")) {
  const input = zone.querySelector("input[type=file]");
  zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => { event.preventDefault(); zone.classList.remove("over"); input.files = event.dataTransfer.files; input.dispatchEvent(new Event("change")); if (zone.matches("form") && input.files.length) zone.requestSubmit(); });
}

// A table that is wider than its place can be scrolled with the keyboard, too; one that fits is no stop.
const watch = new ResizeObserver((seen) => {
  for (const { target } of seen) {
    if (target.scrollWidth > target.clientWidth) { target.tabIndex = 0; target.setAttribute("role", "group"); target.setAttribute("aria-label", "Table, scrolls sideways"); }
    else { target.removeAttribute("tabindex"); target.removeAttribute("role"); target.removeAttribute("aria-label"); }
  }
});
for (const box of document.querySelectorAll(".scroll")) watch.observe(box);
