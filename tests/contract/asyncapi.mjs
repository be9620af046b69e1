// Validates an AsyncAPI document with the AsyncAPI initiative's own parser; prints what is wrong, then the number of channels.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.argv[3] + "/");
const { Parser } = require("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const wrong = diagnostics.filter((one) => one.severity < 2);
for (const one of wrong) console.log(`${one.code} ${one.message} ${one.path.join("/")}`);
console.log(JSON.stringify({ wrong: wrong.length, channels: document ? document.channels().length : 0 }));
