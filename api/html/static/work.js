// Follows long work: its bar and its words, until it has ended; then the page shows what it found.
"use strict";

const box = document.querySelector("[data-work]");
if (box) {
  const bar = box.querySelector("progress");
  const words = box.querySelector("[data-words]");
  const spoken = box.querySelector("[role=status]");
  let said = 0;
  const follow = async () => {
    let work;
    try {
      const answer = await fetch(box.dataset.follow, { redirect: "error" });
      if (!answer.ok) throw new Error(answer.statusText);
      work = await answer.json();
    } catch {
      words.textContent = "The server did not answer; this page asks again.";
      setTimeout(follow, 5000);
      return;
    }
    if (work.id !== box.dataset.work) { location.reload(); return; }
    bar.value = work.percent;
    words.textContent = work.words;
    if (Date.now() - said > 10000) { spoken.textContent = work.words; said = Date.now(); }
    setTimeout(follow, 1000);
  };
  setTimeout(follow, 1000);
}
