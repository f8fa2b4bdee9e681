import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { entryOf } from "./entry.js";
import { failureOf, guard } from "./guest/guard.js";
import { readModules } from "./modules.js";
import { HOSTS_FILE, SCHEMA_FILE, sectionsOf, withSections } from "./sections.js";
import { worldOf } from "./world.js";

/** A plugin of files, by name; the entry is plugin.js. */
async function plugin(files) {
  const folder = mkdtempSync(join(tmpdir(), "fangshi-test-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return readModules(join(folder, "plugin.js"));
}

test("the world is what the import lines of all files and the exported hooks say", async () => {
  const read = await plugin({
    "plugin.js": `
      // import { decode } from "fangshi:store/decode@0.1.0";
      import { text } from "./text.js";
      import * as log from "fangshi:host/log@0.1.0";
      export function onPay() { log.write(1, 'import x from "fangshi:store/price@0.1.0"' + text); }
      export { onPay as onExtInfoUpdate };`,
    "text.js": `export { get as text } from "fangshi:host/settings@0.1.0";`,
  });
  const { imports, exports, text } = entryOf(read);
  assert.deepEqual([...imports].sort(), ["fangshi:host/log@0.1.0", "fangshi:host/settings@0.1.0"]);
  assert.equal(
    worldOf(imports, exports),
    `package fangshi:built;

world plugin {
  import fangshi:host/log@0.1.0;
  import fangshi:host/settings@0.1.0;
  export fangshi:store/on-pay@0.1.0;
  export fangshi:store/on-ext-info-update@0.1.0;
}
`,
  );
  assert.match(text, /export const onExtInfoUpdate = \{ handle: guard\(plugin\.onExtInfoUpdate\) \};/);
});

test("clock and random are imported when the source tells the time or throws dice, and only then", async () => {
  const names = async (source) => [...entryOf(await plugin({ "plugin.js": source })).imports];
  assert.deepEqual(await names("export function onPay() {}"), []);
  assert.deepEqual(await names("export function onPay() { return Date.now(); }"), ["fangshi:host/clock@0.1.0"]);
  assert.deepEqual(await names("export const onPay = () => Math.random();"), ["fangshi:host/random@0.1.0"]);
});

test("what can't work is refused with what to do", async () => {
  await assert.rejects(plugin({ "plugin.js": `import "lodash"; export function onPay() {}` }), /bundle/);
  await assert.rejects(plugin({ "plugin.js": `import "../x.js"; export function onPay() {}` }), /folder/);
  await assert.rejects(plugin({ "plugin.js": `export const onPay = () => import("./x.js");` }), /import line/);
  const misspelt = await plugin({ "plugin.js": "export function onPaid() {}" });
  assert.throws(() => entryOf(misspelt), /onPaid.*onPay/);
  const empty = await plugin({ "plugin.js": "export const x = 1;" });
  assert.throws(() => entryOf(empty), /no hook/);
});

test("the hosts of a file beside the plugin become a section of the component", () => {
  const folder = mkdtempSync(join(tmpdir(), "fangshi-test-"));
  const source = join(folder, "plugin.js");
  assert.deepEqual(sectionsOf(source), []);
  const hosts = `${"h".repeat(60)}.example.com\n`.repeat(3);
  writeFileSync(join(folder, HOSTS_FILE), hosts);
  const component = withSections(Uint8Array.of(7, 7), sectionsOf(source));
  const name = "fangshi:http-hosts";
  // Kind 0, the size in two bytes, the name with its length, the text.
  const size = 1 + name.length + hosts.length;
  assert.deepEqual([...component.subarray(0, 6)], [7, 7, 0, (size & 0x7f) | 0x80, size >> 7, name.length]);
  assert.equal(component.subarray(6).toString(), name + hosts);
});

test("thrown errors become outcomes as in the Rust SDK", () => {
  const refused = (tag, val) => failureOf(Object.assign(new Error("x"), { payload: { tag, val } }));
  assert.deepEqual(refused("limited", 30).val.afterSeconds, 30);
  assert.equal(refused("limited", null).val.afterSeconds, null);
  for (const tag of ["unavailable", "conflict"]) assert.equal(refused(tag, "y").tag, "retry-later");
  for (const tag of ["denied", "invalid", "outcome-unknown"]) assert.match(refused(tag, "notes").val, /notes/);
  assert.match(refused("platform", { code: 40097, message: "m" }).val, /40097.*m/);
  assert.equal(refused("not-found").tag, "reject");
  assert.deepEqual(failureOf({ tag: "retry-later", val: { reason: "r" } }), { tag: "retry-later", val: { reason: "r", afterSeconds: null } });
  const bug = failureOf(new TypeError("no such thing"));
  assert.equal(bug.tag, "retry-later");
  assert.match(bug.val.reason, /no such thing/);
});

test("an async hook is a rejection, since nothing would wait for it", () => {
  assert.throws(guard(async () => {}), (thrown) => thrown.tag === "reject");
  assert.equal(guard(() => 7)(), undefined);
});

test("the schema of a file beside the plugin becomes a section, and one that is no JSON is refused at once", () => {
  const folder = mkdtempSync(join(tmpdir(), "fangshi-test-"));
  const source = join(folder, "plugin.js");
  writeFileSync(join(folder, SCHEMA_FILE), '{"type": "object"}');
  const sections = sectionsOf(source);
  assert.deepEqual(sections.map(([name, bytes]) => [name, bytes.toString()]), [["fangshi:settings-schema", '{"type": "object"}']]);
  const component = Buffer.from("\0asm");
  const small = withSections(component, [["ab", Buffer.from("xyz")]]);
  assert.deepEqual([...small.subarray(4)], [0, 6, 2, 97, 98, 120, 121, 122]);
  writeFileSync(join(folder, SCHEMA_FILE), "{");
  assert.throws(() => sectionsOf(source), /settings\.schema\.json/);
});

test("the clock's hook is of the host's own package", async () => {
  const { exports, text } = entryOf(await plugin({ "plugin.js": "export function onSchedule(event, tick) {}" }));
  assert.deepEqual(exports, ["fangshi:host/on-schedule@0.1.0"]);
  assert.match(text, /export const onSchedule = /);
});
