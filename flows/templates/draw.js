/* A point's text is that of its experiment, told once for all figures. */
function draw(id, figure) {
  figure.data.forEach(function (trace) {
    if (trace.meta) { trace.customdata = trace.meta.map((number) => EXPERIMENTS[number]); }
  });
  const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  Plotly.newPlot(id, figure.data, figure.layout, config);
}
