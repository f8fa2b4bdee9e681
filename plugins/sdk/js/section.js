// Custom sections: what a component says of itself beside its type.

/** The component with a custom section more at its end; as it is if `bytes` is null. */
export function withSection(component, name, bytes) {
  if (bytes === null) return component;
  const label = Buffer.from(name);
  const body = Buffer.concat([length(label.length), label, bytes]);
  return Buffer.concat([component, Buffer.from([0]), length(body.length), body]);
}

/** A number as WebAssembly writes it (LEB128). */
function length(number) {
  const bytes = [];
  for (let left = number; ; left >>>= 7) {
    if (left < 0x80) return Buffer.from([...bytes, left]);
    bytes.push((left & 0x7f) | 0x80);
  }
}
