// Builds plotly.js with the traces of entry.js and writes it, compressed, to edt/assets/plotly.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const zlib = require('node:zlib');
const {build} = require('esbuild');
const {environmentPlugin} = require('esbuild-plugin-environment');
const {glsl} = require('esbuild-plugin-glsl');
const inlineCss = require('esbuild-plugin-inline-css');

const target = path.join(__dirname, '..', '..', 'edt', 'assets', 'plotly');

async function main() {
  // The options are those of plotly.js itself (its esbuild-config.js).
  const result = await build({
    entryPoints: [path.join(__dirname, 'entry.js')],
    bundle: true,
    write: false,
    minify: true,
    format: 'iife',
    globalName: 'Plotly',
    legalComments: 'eof',
    plugins: [inlineCss(), glsl({minify: true}), environmentPlugin({NODE_DEBUG: false})],
    alias: {regl: '@plotly/regl', stream: 'stream-browserify'},
    define: {global: 'window', 'define.amd': 'false'},
    target: 'es2020',
  });
  fs.writeFileSync(path.join(target, 'plotly.min.js.gz'), zlib.gzipSync(result.outputFiles[0].contents, {level: 9}));
  fs.copyFileSync(path.join(__dirname, 'node_modules', 'plotly.js', 'LICENSE'), path.join(target, 'LICENSE'));
}

main();
