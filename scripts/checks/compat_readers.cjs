// Opens a workbook in ExcelJS or SheetJS and saves it again: node compat_readers.cjs exceljs|xlsx IN OUT
const path = require("path");
const [name, source, target] = process.argv.slice(2);
const library = require(path.join(process.env.SHEETGPT_NODE_MODULES, name));

async function main() {
  if (name === "xlsx") {
    const book = library.readFile(source, { cellFormula: true, cellStyles: true, cellNF: true, bookVBA: true });
    library.writeFile(book, target, { compression: true, cellStyles: true });
  } else {
    const book = new library.Workbook();
    await book.xlsx.readFile(source);
    await book.xlsx.writeFile(target);
  }
}

main().catch((error) => {
  console.error(String(error && error.stack ? error.stack : error).split("\n")[0]);
  process.exit(1);
});
