// The part of plotly.js that the pages of this package draw with; scatter is in its core.
'use strict';
const Plotly = require('plotly.js/lib/core');
Plotly.register([
  require('plotly.js/lib/heatmap'),
  // The strict variant compiles no function from text, so a page's Content-Security-Policy needs no 'unsafe-eval'.
  require('plotly.js/src/traces/parcoords/strict'),
]);
module.exports = Plotly;
