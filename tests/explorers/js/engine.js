/** The engine as Node loads it. */
"use strict";

const folder = "../../../resnet_edu/explorers/net/";
const net = require(`${folder}engine.js`);
const parts = ["program", "kernels-wasm", "wasm", "network", "training", "digits", "worker"];
const further = ["kernels", "drawing", "weights", "weights-plain", "inside", "source"];
for (const name of [...parts, ...further]) require(`${folder}${name}.js`);
module.exports = net;
