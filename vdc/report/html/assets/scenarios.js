// The table of scenarios: it filters by outcome and by text, and tells the time line which one to show.
"use strict";
(() => {
  const rows = [...document.querySelectorAll("#scenarios > tbody > tr[data-test]")];
  const filter = document.getElementById("scenario-filter");
  const chips = [...document.querySelectorAll("#outcomes .chip")];
  if (!filter) return;

  function show() {
    const wanted = filter.value.trim().toLowerCase();
    const outcomes = new Set(chips.filter((chip) => chip.ariaPressed === "true").map((chip) => chip.dataset.outcome));
    for (const row of rows) {
      row.hidden = !outcomes.has(row.dataset.outcome) || !row.textContent.toLowerCase().includes(wanted);
    }
    document.getElementById("no-scenario").hidden = rows.some((row) => !row.hidden);
  }

  filter.addEventListener("input", show);
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.ariaPressed = String(chip.ariaPressed !== "true");
      show();
    });
  }
  document.getElementById("scenarios").addEventListener("click", (event) => {
    const button = event.target.closest("button[data-test]");
    if (button) document.dispatchEvent(new CustomEvent("vdc:scenario", { detail: button.dataset.test }));
  });
})();
