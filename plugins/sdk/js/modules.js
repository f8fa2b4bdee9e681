// A plugin's modules: the file itself and every file that it imports, with what they import and export.
import { readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { init, parse } from "es-module-lexer";

/** Reads `path` and all that it imports by a relative path, from its own folder. */
export async function readModules(path) {
  await init;
  const root = dirname(path);
  const modules = new Map();
  const contract = new Set();
  const visit = (file, importer) => {
    const name = relative(root, file).split(sep).join("/");
    if (name.startsWith("..")) {
      throw new Error(`${importer} imports ${name}: a plugin's files stay in the folder of its entry`);
    }
    if (modules.has(name)) return modules.get(name);
    const text = readFileSync(file, "utf8");
    const [imports, exports] = parse(text, name);
    const module = { name, text, exports: exports.map((item) => item.n) };
    modules.set(name, module);
    for (const { n: specifier, d: kind } of imports) {
      if (kind === -2) continue; // import.meta
      if (kind >= 0) throw new Error(`${name}: import() is not possible in a plugin, write an import line`);
      if (specifier.startsWith("fangshi:")) contract.add(specifier);
      else if (/^\.\.?\//.test(specifier)) visit(join(dirname(file), specifier), name);
      else throw new Error(`${name} imports "${specifier}": only fangshi: and relative files are possible, bundle packages first`);
    }
    return module;
  };
  const entry = visit(path, path);
  return { entry, modules: [...modules.values()], imports: contract };
}
