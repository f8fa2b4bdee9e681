// Custom sections of a component: what a plugin says of itself beside its imports and exports.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The file beside a plugin's entry that names the outside hosts it sends to, one a line. */
export const HOSTS_FILE = "http-hosts.txt";

/** The file beside a plugin's entry that holds the JSON Schema of its settings. */
export const SCHEMA_FILE = "settings.schema.json";

/** What stands beside a plugin's entry, as sections: name and bytes. */
export function sectionsOf(source) {
  const beside = (file) => join(dirname(source), file);
  const sections = [];
  if (existsSync(beside(HOSTS_FILE))) sections.push(["fangshi:http-hosts", readFileSync(beside(HOSTS_FILE))]);
  if (existsSync(beside(SCHEMA_FILE))) sections.push(["fangshi:settings-schema", schemaOf(beside(SCHEMA_FILE))]);
  return sections;
}

function schemaOf(file) {
  const text = readFileSync(file);
  try {
    JSON.parse(text);
  } catch (error) {
    throw new Error(`${SCHEMA_FILE} is no JSON: ${error.message}`);
  }
  return text;
}

/** The component with the sections behind everything else. */
export function withSections(component, sections) {
  const parts = [component];
  for (const [name, bytes] of sections) {
    const label = new TextEncoder().encode(name);
    const length = leb128(label.length);
    parts.push(Uint8Array.of(0), leb128(length.length + label.length + bytes.length), length, label, bytes);
  }
  return Buffer.concat(parts);
}

/** An unsigned number as WebAssembly writes it. */
function leb128(number) {
  const bytes = [];
  do {
    bytes.push((number & 0x7f) | (number > 0x7f ? 0x80 : 0));
    number >>>= 7;
  } while (number > 0);
  return Uint8Array.from(bytes);
}
