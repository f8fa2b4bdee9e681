import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

/** The plugin of README.md, with its imports taken from `given`. */
function sample(given) {
  const readme = readFileSync(new URL("README.md", import.meta.url), "utf8");
  const [, code] = /```js\n([^]*?)```/.exec(readme);
  const body = code.replace(/^import .*$/gm, "").replace("export function", "function");
  const names = [...code.matchAll(/^import \{ (.*) \} from/gm)].flatMap(([, list]) => list.split(", "));
  assert.deepEqual(names.filter((name) => !(name in given)), [], "an import that this test does not know");
  return new Function(...Object.keys(given), `${body}\nreturn onPay;`)(...Object.values(given));
}

test("the plugin of the README keeps what was in the note, and marks once", () => {
  const order = { note: "周末送 \n", total: 100_000 };
  let writes = 0;
  const onPay = sample({
    price: (given) => ({ orderPrice: given.total }),
    merchantNotes: (given) => given.note,
    setMerchantNotes: (id, text) => {
      assert.equal(id, "37");
      order.note = text;
      writes += 1;
    },
  });
  const event = { orderId: () => "37" };
  onPay(event, order);
  assert.equal(order.note, "周末送；大额订单");
  onPay(event, order);
  Object.assign(order, { note: "", total: 99_999 });
  onPay(event, order);
  assert.equal(writes, 1);
  Object.assign(order, { total: 100_000 });
  onPay(event, order);
  assert.equal(order.note, "大额订单");
});
