// Writes the table with the usual packages of npm. The argument is the folder whose node_modules has them.
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";

const require = createRequire(`${process.argv[2]}/`);
const rows = readFileSync("table.jsonl", "utf8").trim().split("\n").map((line) => {
  // Integers over 2^53 become BigInt before JSON.parse can round them.
  const row = JSON.parse(line.replace(/"account": (\d+)/, '"account": "$1"'));
  const number = (text) => (text === null ? null : Number(text));
  const moment = (text) => (text === null ? null : new Date(text.replace(" ", "T")));
  return { ...row, account: BigInt(row.account), price: number(row.price), placed: moment(row.placed) };
});
const text = (row) => ({ ...row, account: String(row.account) });
const papaparse = require("papaparse");
writeFileSync("papaparse.csv", papaparse.unparse(rows));
writeFileSync("papaparse-quotes.csv", papaparse.unparse(rows, { quotes: true }));
const { stringify } = require("csv-stringify/sync");
writeFileSync("csv-stringify.csv", stringify(rows));
writeFileSync("csv-stringify-header.csv", stringify(rows, { header: true }));
const { writeToString } = require("fast-csv");
writeFileSync("fast-csv.csv", await writeToString(rows, { headers: true }));
const { Parser } = require("@json2csv/plainjs");
writeFileSync("json2csv.csv", new Parser().parse(rows.map(text)));
writeFileSync("json.jsonl", rows.map((row) => JSON.stringify(text(row)) + "\n").join(""));
console.log(process.versions.node);
