// Integers both ways through every place where the contract has them, logged as this language sees them:
// results, resource methods, record fields, options, lists, results of calls, payloads of errors, parameters.
import { write } from "fangshi:host/log@0.1.0";
import { next } from "fangshi:host/random@0.1.0";
import { delay } from "fangshi:store/virtual-number@0.1.0";
import { items } from "fangshi:store/order-items@0.1.0";
import { price } from "fangshi:store/order-price@0.1.0";
import { confirmReceiptTime, summary } from "fangshi:store/order-summary@0.1.0";
import { get } from "fangshi:store/orders@0.1.0";
import { change } from "fangshi:store/price@0.1.0";
import { listOrders } from "fangshi:store/search@0.1.0";

const log = (name, value) => write(1, `${name} ${typeof value} ${value}`);

export function onPay(event, order, pay) {
  log("method s64", event.createdAt());
  log("member s64", pay.payTime);
  log("field s64", price(order).orderPrice);
  log("option s64", confirmReceiptTime(order));
  for (const item of items(order)) log("list s64", item.salePrice);
  log("field u32", summary(order).status);
  log("own resource", get(event.orderId()).id());
  log("result s64", delay(event.orderId(), 2).expiration);

  // Given: a Number as s64 in a list of records, as option<s64>, as s64 in an option of a record.
  const changePrice = 9007199254740991;
  change(event.orderId(), [{ productId: "1", skuId: "2", changePrice }], -9007199254740991);
  const none = { createTimeRange: null, updateTimeRange: null, status: null, openid: null, pageSize: 10, nextKey: null };
  listOrders({ ...none, createTimeRange: { startTime: pay.payTime - 1, endTime: 4102444800 } });

  // Refused: the payloads of the error's cases.
  for (const sku of ["limited", "platform", "conflict", "not-found"]) {
    try {
      change(event.orderId(), [{ productId: "1", skuId: sku, changePrice: 1 }], null);
      write(3, `${sku} was not refused`);
    } catch (error) {
      write(1, `refused ${JSON.stringify(error.payload)}`);
    }
  }

  const many = Array.from({ length: 64 }, () => next());
  log("random in range", many.every((number) => number >= 0 && number <= 2147483647));
  log("Date", Date.now() === new Date().getTime() && new Date(0).toISOString());
  log("now", Date.now());
  const fractions = Array.from({ length: 64 }, () => Math.random());
  log("fractions in range", fractions.every((number) => number >= 0 && number < 1));
  log("fractions differ", new Set(fractions).size === 64);
  log("parts", new Date(2025, 11, 2).toISOString());
}
