"use strict";
(function () {
  const table = document.getElementById("runs-table");
  const search = document.getElementById("runs-search");
  if (table && search) {
    const groups = () => Array.from(table.tBodies);
    search.addEventListener("input", function () {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      groups().forEach(function (group) {
        const text = group.textContent.toLowerCase();
        group.hidden = !words.every((word) => text.includes(word));
      });
    });
    table.querySelectorAll("th[data-sort]").forEach(function (head, column) {
      head.addEventListener("click", function () {
        const up = head.getAttribute("aria-sort") !== "ascending";
        table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const value = (group) => group.rows[0].cells[column].dataset.v;
        const compare = function (left, right) {
          const a = value(left), b = value(right);
          if (a === "" || b === "") { return (a === "") - (b === ""); }
          const difference = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
          return up ? difference : -difference;
        };
        groups().sort(compare).forEach((group) => table.appendChild(group));
      });
    });
  }
  const plots = () => Array.from(document.querySelectorAll(".js-plotly-plot"));
  window.addEventListener("beforeprint", function () {
    plots().forEach((plot) => { Plotly.relayout(plot, { width: 690, autosize: false }); });
  });
  window.addEventListener("afterprint", function () {
    plots().forEach((plot) => { Plotly.relayout(plot, { width: null, autosize: true }); });
  });
})();
