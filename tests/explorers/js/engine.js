/** The engine as Node loads it. */
"use strict";

const folder = "../../../resnet_edu/explorers/net/";
const net = require(`${folder}engine.js`);
for (const name of ["program", "kernels", "kernels-wasm", "wasm", "network", "training", "digits"]) require(`${folder}${name}.js`);
module.exports = net;
