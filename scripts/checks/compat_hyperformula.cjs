// Computes a workbook in HyperFormula: node compat_hyperformula.cjs job.json answer.json
// The job has the sheets (formulas and constants), the defined names and the ranges to read; see compat.py.
const fs = require("fs");
const { HyperFormula } = require(process.env.SHEETGPT_HYPERFORMULA);

const [jobFile, answerFile] = process.argv.slice(2);
const job = JSON.parse(fs.readFileSync(jobFile, "utf8"));
const names = Object.entries(job.names).map(([name, expression]) => ({ name, expression }));
const cell = /^=(?:'((?:[^']|'')+)'|([^'!]+))!\$[A-Z]+\$\d+(?::\$[A-Z]+\$\d+)?$/;
const engine = HyperFormula.buildFromSheets(job.sheets, { licenseKey: "gpl-v3", maxRows: 1048576 });
for (const { name, expression } of names) {
  if (cell.test(expression) && engine.isItPossibleToAddNamedExpression(name, expression)) {
    engine.addNamedExpression(name, expression);
  }
}
const answer = {};
for (const [key, area] of Object.entries(job.read)) {
  const [title, row, column, rows, columns] = area || [];
  const sheet = area ? engine.getSheetId(title) : undefined;
  answer[key] = sheet === undefined ? null : Array.from({ length: rows }, (_, i) =>
    Array.from({ length: columns }, (_, j) => {
      const value = engine.getCellValue({ sheet, row: row + i, col: column + j });
      return value && typeof value === "object" ? value.value || `#${value.type}!` : value;
    }));
}
fs.writeFileSync(answerFile, JSON.stringify(answer));
