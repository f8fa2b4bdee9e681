// The world of a plugin, in WIT.

/** Imports and exports are names of interfaces with their version, as the source spells them. */
export function worldOf(imports, exports) {
  const lines = [...[...imports].sort().map((name) => `  import ${name};`), ...exports.map((name) => `  export ${name};`)];
  return `package fangshi:built;\n\nworld plugin {\n${lines.join("\n")}\n}\n`;
}
