// The entry that is put before a plugin: an exported function `onPay` becomes the hook `on-pay`.

const VERSION = "0.1.0";

/** The hook of each export, with the package that it is of. */
const HOOKS = new Map([
  ["onNew", "fangshi:store/on-new"],
  ["onCancel", "fangshi:store/on-cancel"],
  ["onPay", "fangshi:store/on-pay"],
  ["onWaitShipping", "fangshi:store/on-wait-shipping"],
  ["onDeliver", "fangshi:store/on-deliver"],
  ["onConfirm", "fangshi:store/on-confirm"],
  ["onSettle", "fangshi:store/on-settle"],
  ["onExtInfoUpdate", "fangshi:store/on-ext-info-update"],
  ["onSchedule", "fangshi:host/on-schedule"],
]);

/** The text of the entry, and the imports and exports of the component. */
export function entryOf(plugin) {
  const hooks = plugin.entry.exports.filter((name) => HOOKS.has(name));
  const strange = plugin.entry.exports.filter((name) => /^on[A-Z]/.test(name) && !HOOKS.has(name));
  if (strange.length > 0 || hooks.length === 0) {
    throw new Error(`${strange.length > 0 ? `no hook is named ${strange.join(", ")}` : "no hook is exported"}; there are ${[...HOOKS.keys()].join(", ")}`);
  }
  const imports = new Set(plugin.imports);
  const lines = [];
  // The language's own clock and dice have nothing behind them in a sandbox; they are bound to the run's, if they are used.
  const uses = (pattern) => plugin.modules.some((module) => pattern.test(module.text));
  if (uses(/\bDate\b/)) {
    imports.add(`fangshi:host/clock@${VERSION}`);
    lines.push(`import "./guest/date.js";`);
  }
  if (uses(/\bMath\s*\.\s*random\b/)) {
    imports.add(`fangshi:host/random@${VERSION}`);
    lines.push(`import "./guest/random.js";`);
  }
  lines.push(`import { guard } from "./guest/guard.js";`);
  lines.push(`import * as plugin from ${JSON.stringify(`./plugin/${plugin.entry.name}`)};`);
  for (const hook of hooks) lines.push(`export const ${hook} = { handle: guard(plugin.${hook}) };`);
  return {
    text: `${lines.join("\n")}\n`,
    imports,
    exports: hooks.map((hook) => `${HOOKS.get(hook)}@${VERSION}`),
  };
}
