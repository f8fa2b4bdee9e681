#!/usr/bin/env node
// Makes a component of a plugin in JavaScript: node build.js plugin.js plugin.wasm
//
// 1. reads the plugin's modules: their imports are the grants asked for, the exported hooks are the subscription;
// 2. writes the world that says just that, and an entry that calls the hooks (guest/);
// 3. snapshots it all with QuickJS, without any access to the system;
// 4. adds what the files beside the plugin say: the outside hosts that it declares (http-hosts.txt) and the schema of its
//    settings (settings.schema.json).
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { componentize } from "componentize-qjs";
import { entryOf } from "./entry.js";
import { readModules } from "./modules.js";
import { sectionsOf, withSections } from "./sections.js";
import { worldOf } from "./world.js";

const here = dirname(fileURLToPath(import.meta.url));

async function build(source, target) {
  const plugin = await readModules(resolve(source));
  const entry = entryOf(plugin);
  const stage = mkdtempSync(join(tmpdir(), "fangshi-js-"));
  try {
    for (const module of plugin.modules) {
      mkdirSync(dirname(join(stage, "plugin", module.name)), { recursive: true });
      writeFileSync(join(stage, "plugin", module.name), module.text);
    }
    cpSync(join(here, "guest"), join(stage, "guest"), { recursive: true });
    writeFileSync(join(stage, "entry.js"), entry.text);
    for (const part of ["host", "store"]) {
      cpSync(join(here, "../../../wit", part), join(stage, "wit/deps", part), { recursive: true });
    }
    writeFileSync(join(stage, "wit/plugin.wit"), worldOf(entry.imports, entry.exports));
    const { component } = await componentize({
      witPath: join(stage, "wit"),
      world: "plugin",
      jsSource: entry.text,
      jsPath: join(stage, "entry.js"),
      moduleRoot: stage,
      stubWasi: true,
      sync: true,
    });
    writeFileSync(target, withSections(component, sectionsOf(resolve(source))));
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

const [source, target] = process.argv.slice(2);
if (!source || !target) {
  console.error("usage: node build.js PLUGIN.js PLUGIN.wasm");
  process.exitCode = 2;
} else {
  await build(source, target).catch((error) => {
    console.error(`${source}: ${error.message ?? error}`);
    process.exitCode = 1;
  });
}
